// Checks timerfds: clocks, remaining times, intervals, expirations that nobody has read, flags.
#include "journey.h"
#include <sys/timerfd.h>

int main(void)
{
    struct itimerspec hour = { { 11, 22 }, { 3600, 0 } }, soon = { { 3600, 0 }, { 0, 1000 } }, now;
    struct timespec real;
    int relative = MUST(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
    int absolute = MUST(timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK));
    int boot = MUST(timerfd_create(CLOCK_BOOTTIME, 0));
    int disarmed = MUST(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    int expired = MUST(timerfd_create(CLOCK_MONOTONIC, 0));
    MUST(timerfd_settime(relative, 0, &hour, NULL));
    MUST(timerfd_settime(boot, 0, &hour, NULL));
    MUST(clock_gettime(CLOCK_REALTIME, &real));
    hour.it_value.tv_sec += real.tv_sec;
    hour.it_interval = (struct timespec){ 0, 0 };
    MUST(timerfd_settime(absolute, TFD_TIMER_ABSTIME, &hour, NULL));
    MUST(timerfd_settime(expired, 0, &soon, NULL));
    doze(20);

    ready();

    int fd[3] = { relative, boot, absolute };
    for (int i = 0; i < 3; i++) {
        MUST(timerfd_gettime(fd[i], &now));
        CHECK(now.it_value.tv_sec > 1800 && now.it_value.tv_sec <= 3600, "timer %d has %ld s left", i,
              (long)now.it_value.tv_sec);
        CHECK_EQUAL(now.it_interval.tv_sec, i < 2 ? 11 : 0);
        CHECK_EQUAL(now.it_interval.tv_nsec, i < 2 ? 22 : 0);
    }
    CHECK_EQUAL(fcntl(relative, F_GETFD), FD_CLOEXEC);
    CHECK(fcntl(absolute, F_GETFL) & O_NONBLOCK, "O_NONBLOCK is lost");
    MUST(timerfd_gettime(disarmed, &now));
    CHECK_EQUAL(now.it_value.tv_sec + now.it_value.tv_nsec, 0);
    uint64_t times = 0;
    CHECK_EQUAL(read(expired, &times, sizeof times), sizeof times);
    CHECK_EQUAL(times, 1);
    CHECK(read(absolute, &times, sizeof times) == -1 && errno == EAGAIN, "the absolute timer has expired");
    soon.it_interval.tv_sec = 0;
    MUST(timerfd_settime(relative, 0, &soon, NULL));
    CHECK_EQUAL(read(relative, &times, sizeof times), sizeof times);
    pass();
}
