// Checks descriptors of processes (pidfd): of a living child, which they can signal and wait for, shared with another
// child and polled by epoll; of a child that has ended and waits to be waited for; of the process itself; of one that is gone.
// needs: pidfd
#include "journey.h"
#include <poll.h>
#include <sys/epoll.h>
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#define SYS_pidfd_send_signal 424
#endif
#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static int open_pidfd(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0) {
        int error = errno;
        kill(pid, SIGKILL);
        skip("no pidfds: %s", strerror(error));
    }
    return fd;
}

static pid_t child(void)
{
    pid_t pid = MUST(fork());
    if (pid == 0)
        for (;;)
            pause();
    return pid;
}

static int ends(int fd, int milliseconds)
{
    struct pollfd one = { .fd = fd, .events = POLLIN };
    return MUST(poll(&one, 1, milliseconds));
}

static void wait_by(int fd, int signal)
{
    siginfo_t info = { 0 };
    MUST(waitid((idtype_t)P_PIDFD, (id_t)fd, &info, WEXITED));
    CHECK_EQUAL(info.si_code, CLD_KILLED);
    CHECK_EQUAL(info.si_status, signal);
}

int main(void)
{
    pid_t pid = child();
    int fd = open_pidfd(pid), self = open_pidfd(getpid());
    MUST(fcntl(fd, F_SETFL, O_NONBLOCK));
    pid_t zombie = child();
    int dead = open_pidfd(zombie);
    MUST(kill(zombie, SIGUSR1));
    CHECK_EQUAL(ends(dead, -1), 1);
    pid_t reaped = child();
    int gone = open_pidfd(reaped);
    MUST(kill(reaped, SIGKILL));
    CHECK_EQUAL(MUST(waitpid(reaped, NULL, 0)), reaped);

    int epoll = MUST(epoll_create1(0));
    struct epoll_event event = { .events = EPOLLIN, .data.u64 = 0x0123456789abcdef };
    MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
    struct gate gate = gate_new();
    pid_t other = MUST(fork());
    if (other == 0) {
        gate_arrive(&gate);
        wait_for_go();
        CHECK_EQUAL(ends(fd, 0), 0);
        MUST(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0));
        // The description is shared: the parent sees the change.
        MUST(fcntl(fd, F_SETFL, 0));
        _exit(0);
    }
    int of_other = open_pidfd(other);
    gate_collect(&gate, 1);

    ready();

    siginfo_t info = { 0 };
    MUST(waitid((idtype_t)P_PIDFD, (id_t)of_other, &info, WEXITED));
    CHECK_EQUAL(info.si_code, CLD_EXITED);
    CHECK_EQUAL(info.si_status, 0);
    CHECK_EQUAL(MUST(fcntl(fd, F_GETFL)) & O_NONBLOCK, 0);
    struct epoll_event got = { 0 };
    CHECK_EQUAL(MUST(epoll_wait(epoll, &got, 1, 10000)), 1);
    CHECK_EQUAL(got.data.u64, 0x0123456789abcdef);
    wait_by(fd, SIGTERM);
    CHECK_EQUAL(ends(dead, 0), 1);
    wait_by(dead, SIGUSR1);
    CHECK_EQUAL(ends(self, 0), 0);
    MUST(syscall(SYS_pidfd_send_signal, self, 0, NULL, 0));
    CHECK_EQUAL(syscall(SYS_pidfd_send_signal, gone, 0, NULL, 0), -1);
    CHECK_EQUAL(errno, ESRCH);
    CHECK_EQUAL(ends(gone, 0), 1);
    pass();
}
