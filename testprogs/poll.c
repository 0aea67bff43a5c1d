// Checks processes blocked in poll and ppoll, with and without a time limit: a signal or data ends the wait, the
// checkpoint does not. ppoll's temporary mask is taken back.
#include "kick.h"
#include <poll.h>

static int end[2];

static void without_limit(void)
{
    struct pollfd one = { .fd = end[0], .events = POLLIN };
    CHECK_KICKED(syscall(SYS_poll, &one, 1, -1));
}

static void with_limit(void)
{
    CHECK_KICKED(syscall(SYS_poll, NULL, 0, 3600000));
}

static void masked(void)
{
    struct timespec hour = { 3600, 0 };
    sigset_t blocked, during, now;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigemptyset(&during);
    sigaddset(&during, SIGHUP);
    MUST(sigprocmask(SIG_SETMASK, &blocked, NULL));
    CHECK_KICKED(ppoll(NULL, 0, &hour, &during));
    MUST(sigprocmask(SIG_SETMASK, NULL, &now));
    CHECK(sigismember(&now, SIGUSR1) && !sigismember(&now, SIGHUP), "the mask during ppoll remained");
}

static void short_ones(void)
{
    while (!kicked) {
        int n = poll(NULL, 0, 40);
        CHECK(n == 0 || kicked, "a short poll: %s", strerror(errno));
    }
}

int main(void)
{
    int data[2];
    MUST(pipe(end));
    MUST(pipe(data));
    pid_t pid[5] = {
        blocked_child(without_limit, SYS_poll),
        blocked_child(with_limit, SYS_poll),
        blocked_child(masked, SYS_ppoll),
        blocked_child(short_ones, SYS_poll),
    };
    pid[4] = MUST(fork());
    if (pid[4] == 0) {
        struct pollfd two[2] = { { .fd = end[0], .events = POLLIN }, { .fd = data[0], .events = POLLIN } };
        int n = poll(two, 2, 3600000);
        CHECK(n == 1, "poll returned %d: %s", n, strerror(errno));
        CHECK_EQUAL(two[0].revents, 0);
        CHECK_EQUAL(two[1].revents, POLLIN);
        _exit(0);
    }
    wait_until_in_call(pid[4], SYS_poll);

    ready();

    CHECK_EQUAL(write(data[1], "x", 1), 1);
    for (int i = 0; i < 5; i++)
        REAP(pid[i]);
    pass();
}
