// Checks a connection to a Unix socket outside of the job, by the path that is the argument. What the job sees of it afterwards is written
// into the file "state": the harness looks at that. Without an argument it makes the other side itself.
#include "journey.h"
#include <sys/socket.h>
#include <sys/un.h>

int main(int argc, char **argv)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "inside" };
    char state[200] = "", text[50];
    signal(SIGPIPE, SIG_IGN);
    if (argc > 1) {
        strncpy(address.sun_path, argv[1], sizeof address.sun_path - 1);
    } else {
        int listener = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
        MUST(bind(listener, (struct sockaddr *)&address, sizeof address));
        MUST(listen(listener, 1));
    }
    int fd = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    MUST(connect(fd, (struct sockaddr *)&address, sizeof address));
    if (argc > 1)
        CHECK_EQUAL(read(fd, text, 7), 7);

    ready();

    if (argc == 1)
        pass();
    strcat(state, write(fd, "again", 5) == 5 ? "written" : errno == EPIPE ? "broken pipe" : errno == EBADF ? "closed" : "failed");
    ssize_t n;
    while ((n = read(fd, text, sizeof text - 1)) > 0) {
        text[n] = 0;
        strcat(strcat(state, ", "), text);
    }
    strcat(state, n == 0 ? ", end" : ", error");
    int out = MUST(open("state", O_CREAT | O_WRONLY | O_TRUNC, 0600));
    CHECK_EQUAL(write(out, state, strlen(state)), (ssize_t)strlen(state));
    pass();
}
