// Checks a descriptor of a process outside of the job (pidfd), whose id is the argument, and a directory and a file of it in /proc:
// they lead to the same process as before. It is ended in the end.
#include "journey.h"
#include <poll.h>
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#define SYS_pidfd_send_signal 424
#endif

int main(int argc, char **argv)
{
    char path[64], before[512] = "", now[512] = "";
    CHECK(argc == 2, "usage: %s PID", argv[0]);
    int fd = MUST((int)syscall(SYS_pidfd_open, atoi(argv[1]), 0));
    snprintf(path, sizeof path, "/proc/%s", argv[1]);
    int directory = MUST(open(path, O_RDONLY | O_DIRECTORY)), file = MUST(openat(directory, "stat", O_RDONLY));
    MUST(read(file, before, sizeof before - 1));

    ready();

    MUST(pread(file, now, sizeof now - 1, 0));
    CHECK_EQUAL(strncmp(now, before, strcspn(before, ")")), 0);
    MUST(faccessat(directory, "status", F_OK, 0));
    struct pollfd one = { .fd = fd, .events = POLLIN };
    CHECK_EQUAL(MUST(poll(&one, 1, 0)), 0);
    MUST((int)syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0));
    CHECK_EQUAL(MUST(poll(&one, 1, -1)), 1);
    pass();
}
