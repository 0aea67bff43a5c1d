// Checks a timer that calls a function in a thread (SIGEV_THREAD), which libc builds from a helper thread of its own.
#include "journey.h"
#include <pthread.h>

static volatile int count;

static void call(union sigval value)
{
    if (value.sival_int == 5)
        __atomic_fetch_add(&count, 1, __ATOMIC_SEQ_CST);
}

static void *meet(void *barrier)
{
    pthread_barrier_wait(barrier);
    return NULL;
}

// Leaves some stacks in libc's cache: calls that overlap map no new ones later.
static void warm_up(void)
{
    pthread_barrier_t barrier;
    pthread_t threads[4];
    CHECK_EQUAL(pthread_barrier_init(&barrier, NULL, 4), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, meet, &barrier), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
}

int main(void)
{
    warm_up();
    timer_t timer;
    struct sigevent event = {
        .sigev_notify = SIGEV_THREAD, .sigev_value.sival_int = 5, .sigev_notify_function = call,
    };
    struct itimerspec spec = { { 0, 20000000 }, { 0, 20000000 } };
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
