// Checks a periodic POSIX timer whose signal is pending while it overruns: afterwards the signal is there once, and
// the timer is still periodic.
#include "journey.h"

int main(void)
{
    timer_t timer;
    sigset_t blocked;
    siginfo_t info;
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 77 };
    struct itimerspec spec = { { 0, 1000000 }, { 0, 1000000 } };
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGRTMIN);
    MUST(sigprocmask(SIG_BLOCK, &blocked, NULL));
    MUST(timer_create(CLOCK_MONOTONIC, &event, &timer));
    MUST(timer_settime(timer, 0, &spec, NULL));
    doze(20);

    ready();

    doze(20);
    int overruns = 0;
    for (int i = 0; i < 10; i++) {
        int signal;
        do
            signal = sigwaitinfo(&blocked, &info);
        while (signal < 0 && errno == EINTR);
        CHECK_EQUAL(signal, SIGRTMIN);
        CHECK_EQUAL(info.si_value.sival_int, 77);
        overruns += MUST(timer_getoverrun(timer));
    }
    // One of these signals was pending for 20 ms.
    CHECK(overruns > 0, "the timer never overran");
    struct itimerspec now;
    MUST(timer_gettime(timer, &now));
    CHECK_EQUAL(now.it_interval.tv_nsec, 1000000);
    pass();
}
