// Checks epoll: the interest list with its data, edge and one-shot modes, and a set within a set.
#include "journey.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>

static int add(int epoll, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event = { .events = events, .data.u64 = data };
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

// The events of the entry with this data in a wait that does not block, 0 if it is not reported.
static uint32_t reported(int epoll, uint64_t data)
{
    struct epoll_event event[16];
    int n = MUST(epoll_wait(epoll, event, 16, 0));
    for (int i = 0; i < n; i++)
        if (event[i].data.u64 == data)
            return event[i].events;
    return 0;
}

int main(void)
{
    uint64_t one = 1;
    int epoll = MUST(epoll_create1(EPOLL_CLOEXEC)), inner = MUST(epoll_create1(0)), end[2];
    int level = MUST(eventfd(1, EFD_NONBLOCK)), edge = MUST(eventfd(0, EFD_NONBLOCK));
    int once = MUST(eventfd(0, EFD_NONBLOCK)), within = MUST(eventfd(0, EFD_NONBLOCK));
    MUST(pipe(end));
    MUST(add(epoll, level, EPOLLIN, 0x1111222233334444));
    MUST(add(epoll, edge, EPOLLIN | EPOLLET, 2));
    MUST(add(epoll, once, EPOLLIN | EPOLLONESHOT, 3));
    MUST(add(epoll, end[0], EPOLLIN | EPOLLRDHUP, 4));
    MUST(add(epoll, inner, EPOLLIN, 5));
    MUST(add(inner, within, EPOLLIN, 6));
    // The one-shot entry has fired, and sleeps until it is armed again.
    CHECK_EQUAL(write(once, &one, 8), 8);
    CHECK_EQUAL(reported(epoll, 3), EPOLLIN);

    ready();

    CHECK_EQUAL(reported(epoll, 0x1111222233334444), EPOLLIN);
    CHECK_EQUAL(reported(epoll, 3), 0);
    // An edge may be reported once without news after a restart; the kernel has no way to tell.
    reported(epoll, 2);
    CHECK_EQUAL(write(edge, &one, 8), 8);
    CHECK_EQUAL(reported(epoll, 2), EPOLLIN);
    CHECK_EQUAL(reported(epoll, 2), 0);
    struct epoll_event event = { .events = EPOLLIN | EPOLLONESHOT, .data.u64 = 3 };
    MUST(epoll_ctl(epoll, EPOLL_CTL_MOD, once, &event));
    CHECK_EQUAL(reported(epoll, 3), EPOLLIN);
    CHECK_EQUAL(reported(epoll, 3), 0);
    CHECK_EQUAL(reported(epoll, 4), 0);
    close(end[1]);
    CHECK_EQUAL(reported(epoll, 4), EPOLLHUP);
    CHECK_EQUAL(reported(epoll, 5), 0);
    CHECK_EQUAL(write(within, &one, 8), 8);
    CHECK_EQUAL(reported(epoll, 5), EPOLLIN);
    CHECK_EQUAL(reported(inner, 6), EPOLLIN);
    CHECK(add(epoll, level, EPOLLIN, 9) == -1 && errno == EEXIST, "an entry was lost");
    CHECK_EQUAL(fcntl(epoll, F_GETFD), FD_CLOEXEC);
    pass();
}
