// Checks close-on-exec flags by a real exec afterwards: this program again, which looks at what is open.
#include "journey.h"

int main(int argc, char **argv)
{
    if (argc == 2) {
        CHECK(fcntl(40, F_GETFD) == 0, "descriptor 40 was closed by exec");
        CHECK(fcntl(41, F_GETFD) == -1 && errno == EBADF, "descriptor 41 survived exec");
        CHECK(fcntl(42, F_GETFD) == 0, "descriptor 42 was closed by exec");
        CHECK(fcntl(43, F_GETFD) == -1 && errno == EBADF, "descriptor 43 survived exec");
        pass();
    }
    int end[2];
    int fd = MUST(open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    MUST(pipe(end));
    MUST(dup3(fd, 40, 0));
    MUST(dup3(fd, 41, O_CLOEXEC));
    MUST(dup3(end[0], 42, 0));
    MUST(dup3(end[1], 43, O_CLOEXEC));

    ready();

    CHECK_EQUAL(fcntl(40, F_GETFD), 0);
    CHECK_EQUAL(fcntl(41, F_GETFD), FD_CLOEXEC);
    execl("/proc/self/exe", argv[0], "after exec", (char *)NULL);
    CHECK(0, "exec: %s", strerror(errno));
}
