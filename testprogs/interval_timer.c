// Checks the three interval timers: remaining times and intervals; and that one of them still goes off.
#include "journey.h"
#include <sys/time.h>

static volatile sig_atomic_t count;

static void note(int signal)
{
    (void)signal;
    count++;
}

int main(void)
{
    static const int which[3] = { ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF };
    struct itimerval timer = { .it_interval = { 7, 123456 }, .it_value = { 3600, 0 } }, now;
    for (int i = 0; i < 3; i++) {
        timer.it_interval.tv_sec = 7 + i;
        MUST(setitimer(which[i], &timer, NULL));
    }

    ready();

    for (int i = 0; i < 3; i++) {
        MUST(getitimer(which[i], &now));
        CHECK(now.it_value.tv_sec > 1800 && now.it_value.tv_sec <= 3600, "timer %d has %ld seconds left", i,
              (long)now.it_value.tv_sec);
        CHECK_EQUAL(now.it_interval.tv_sec, 7 + i);
        // The timers of processor time count in ticks.
        CHECK(labs((long)now.it_interval.tv_usec - 123456) <= 10000, "timer %d has an interval of %ld µs", i,
              (long)now.it_interval.tv_usec);
    }
    // The real one did not stand still: it runs in real time and is below its start.
    MUST(getitimer(ITIMER_REAL, &now));
    CHECK(now.it_value.tv_sec < 3600, "the real timer has been set again");
    signal(SIGVTALRM, note);
    timer = (struct itimerval){ .it_value = { 0, 1000 } };
    MUST(setitimer(ITIMER_VIRTUAL, &timer, NULL));
    while (!count)
        ;
    pass();
}
