// Checks what stands in for a socket when a policy decides so: a path, or nothing. What the descriptors lead to is written into the file
// "state": the harness looks at that.
#include "journey.h"
#include <sys/socket.h>
#include <sys/stat.h>

static const char *word(int fd)
{
    struct stat found, null;
    if (fstat(fd, &found))
        return "closed";
    MUST(stat("/dev/null", &null));
    return S_ISSOCK(found.st_mode) ? "socket" : found.st_rdev == null.st_rdev ? "null" : "other";
}

int main(void)
{
    int pair[2];
    char text[64];
    int listener = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(listen(listener, 1));
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));

    ready();

    snprintf(text, sizeof text, "%s %s", word(listener), word(pair[0]));
    int state = MUST(open("state", O_CREAT | O_WRONLY | O_TRUNC, 0600));
    CHECK_EQUAL(write(state, text, strlen(text)), (ssize_t)strlen(text));
    if (!strcmp(word(pair[0]), "null"))
        CHECK_EQUAL(write(pair[0], "x", 1), 1);
    pass();
}
