// Checks processes blocked in select and pselect, with and without a time limit: a signal or data ends the wait, the
// checkpoint does not.
#include "kick.h"
#include <sys/select.h>

static int end[2];

static void without_limit(void)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(end[0], &set);
    CHECK_KICKED(syscall(SYS_select, end[0] + 1, &set, NULL, NULL, NULL));
}

static void with_limit(void)
{
    struct timeval hour = { 3600, 0 };
    CHECK_KICKED(syscall(SYS_select, 0, NULL, NULL, NULL, &hour));
    CHECK(hour.tv_sec > 1800 && hour.tv_sec < 3600, "%ld seconds are left", (long)hour.tv_sec);
}

static void masked(void)
{
    struct timespec hour = { 3600, 0 };
    sigset_t blocked, none;
    sigemptyset(&none);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    MUST(sigprocmask(SIG_SETMASK, &blocked, NULL));
    CHECK_KICKED(pselect(0, NULL, NULL, NULL, &hour, &none));
    MUST(sigprocmask(SIG_SETMASK, NULL, &none));
    CHECK(sigismember(&none, SIGUSR1), "the mask during pselect remained");
}

int main(void)
{
    int data[2];
    MUST(pipe(end));
    MUST(pipe(data));
    pid_t pid[4] = {
        blocked_child(without_limit, SYS_select),
        blocked_child(with_limit, SYS_select),
        blocked_child(masked, SYS_pselect6),
    };
    pid[3] = MUST(fork());
    if (pid[3] == 0) {
        fd_set set;
        FD_ZERO(&set);
        FD_SET(end[0], &set);
        FD_SET(data[0], &set);
        long n = syscall(SYS_select, data[0] + 1, &set, NULL, NULL, NULL);
        CHECK(n == 1, "select returned %ld: %s", n, strerror(errno));
        CHECK(FD_ISSET(data[0], &set) && !FD_ISSET(end[0], &set), "the wrong descriptor is ready");
        _exit(0);
    }
    wait_until_in_call(pid[3], SYS_select);

    ready();

    CHECK_EQUAL(write(data[1], "x", 1), 1);
    for (int i = 0; i < 4; i++)
        REAP(pid[i]);
    pass();
}
