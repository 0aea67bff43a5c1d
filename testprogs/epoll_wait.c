// Checks processes blocked in epoll_wait: an event afterwards still wakes them.
#include "journey.h"
#include <sys/epoll.h>

int main(void)
{
    int end[2], epoll = MUST(epoll_create1(0));
    struct epoll_event event = { .events = EPOLLIN, .data.u64 = 99 };
    MUST(pipe(end));
    MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, end[0], &event));
    pid_t pid = MUST(fork());
    if (pid == 0) {
        int n = epoll_wait(epoll, &event, 1, 3600000);
        CHECK_EQUAL(n, 1);
        CHECK_EQUAL(event.data.u64, 99);
        _exit(0);
    }
    wait_until_in_call(pid, SYS_epoll_wait);

    ready();

    CHECK_EQUAL(write(end[1], "x", 1), 1);
    REAP(pid);
    pass();
}
