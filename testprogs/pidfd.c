// Checks descriptors of processes (pidfd): of a living child, which they can signal and wait for.
// needs: pidfd
#include "journey.h"
#include <poll.h>
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#define SYS_pidfd_send_signal 424
#endif
#ifndef P_PIDFD
#define P_PIDFD 3
#endif

int main(void)
{
    pid_t pid = MUST(fork());
    if (pid == 0)
        for (;;)
            pause();
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0) {
        int error = errno;
        kill(pid, SIGKILL);
        skip("no pidfds: %s", strerror(error));
    }

    ready();

    struct pollfd one = { .fd = fd, .events = POLLIN };
    CHECK_EQUAL(poll(&one, 1, 0), 0);
    MUST(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0));
    CHECK_EQUAL(poll(&one, 1, -1), 1);
    siginfo_t info = { 0 };
    MUST(waitid((idtype_t)P_PIDFD, (id_t)fd, &info, WEXITED));
    CHECK_EQUAL(info.si_code, CLD_KILLED);
    CHECK_EQUAL(info.si_status, SIGTERM);
    pass();
}
