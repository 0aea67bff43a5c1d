// Checks sleeping processes: nanosleep and clock_nanosleep, relative and absolute, are not interrupted, and have
// the right time left when a signal does interrupt them; short sleeps are not shorter than asked.
#include "kick.h"

static void check_left(struct timespec left)
{
    CHECK(left.tv_sec > 1800 && left.tv_sec < 3600, "%ld seconds are left", (long)left.tv_sec);
}

static void relative(void)
{
    struct timespec hour = { 3600, 0 }, left = { 0, 0 };
    CHECK_KICKED(syscall(SYS_nanosleep, &hour, &left));
    check_left(left);
}

static void with_clock(void)
{
    struct timespec hour = { 3600, 0 }, left = { 0, 0 };
    CHECK_KICKED(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &hour, &left));
    check_left(left);
}

static void absolute(void)
{
    struct timespec then;
    MUST(clock_gettime(CLOCK_REALTIME, &then));
    then.tv_sec += 3600;
    CHECK_KICKED(syscall(SYS_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, &then, NULL));
}

static void short_ones(void)
{
    while (!kicked) {
        struct timespec from, to, rest = { 0, 40000000 };
        MUST(clock_gettime(CLOCK_MONOTONIC, &from));
        if (syscall(SYS_nanosleep, &rest, NULL)) {
            CHECK(kicked, "a short sleep: %s", strerror(errno));
            return;
        }
        MUST(clock_gettime(CLOCK_MONOTONIC, &to));
        long ms = (to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000;
        CHECK(ms >= 39, "a sleep of 40 ms took %ld ms", ms);
    }
}

int main(void)
{
    pid_t pid[4] = {
        blocked_child(relative, SYS_nanosleep),
        blocked_child(with_clock, SYS_clock_nanosleep),
        blocked_child(absolute, SYS_clock_nanosleep),
        blocked_child(short_ones, SYS_nanosleep),
    };

    ready();

    for (int i = 0; i < 4; i++)
        REAP(pid[i]);
    pass();
}
