// Checks a timer that calls a function in a thread (SIGEV_THREAD), which libc builds from a helper thread of its own.
#include "journey.h"

static volatile int count;

static void call(union sigval value)
{
    if (value.sival_int == 5)
        __atomic_fetch_add(&count, 1, __ATOMIC_SEQ_CST);
}

int main(void)
{
    timer_t timer;
    struct sigevent event = {
        .sigev_notify = SIGEV_THREAD, .sigev_value.sival_int = 5, .sigev_notify_function = call,
    };
    struct itimerspec spec = { { 0, 5000000 }, { 0, 5000000 } };
    MUST(timer_create(CLOCK_MONOTONIC, &event, &timer));
    MUST(timer_settime(timer, 0, &spec, NULL));
    while (!count)
        doze(1);

    ready();

    int before = count;
    while (count < before + 5)
        doze(1);
    MUST(timer_delete(timer));
    pass();
}
