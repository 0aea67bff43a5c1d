// Checks five thousand POSIX timers, each with a value and an interval of its own.
#include "journey.h"

enum { N = 5000 };

int main(void)
{
    static int id[N];
    struct itimerspec spec;
    for (int i = 0; i < N; i++) {
        struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = i };
        if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id[i]) && errno == EAGAIN)
            skip("no more than %d timers", i);
        spec = (struct itimerspec){ { 60 + i, 0 }, { 36000, 0 } };
        MUST(syscall(SYS_timer_settime, id[i], 0, &spec, NULL));
    }

    ready();

    for (int i = 0; i < N; i++) {
        MUST(syscall(SYS_timer_gettime, id[i], &spec));
        CHECK_EQUAL(spec.it_interval.tv_sec, 60 + i);
        CHECK(18000 < spec.it_value.tv_sec && spec.it_value.tv_sec <= 36000, "timer %d has %ld s left", i, (long)spec.it_value.tv_sec);
    }
    pass();
}
