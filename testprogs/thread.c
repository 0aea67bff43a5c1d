// Checks a few threads: their tids, thread-local memory, stacks, and that joining them collects their results.
#include "journey.h"
#include <pthread.h>

enum { N = 5 };
static __thread int local;
static volatile int arrived;
static pid_t tid[N];

static void *body(void *arg)
{
    uintptr_t i = (uintptr_t)arg;
    char stack[3000];
    pthread_t self = pthread_self();
    fill(stack, sizeof stack, i);
    local = 100 + (int)i;
    tid[i] = own_tid();
    __atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST);
    wait_for_go();
    CHECK_FILLED(stack, sizeof stack, i);
    CHECK_EQUAL(local, 100 + (int)i);
    CHECK(pthread_equal(self, pthread_self()), "pthread_self() is another");
    if (!pids_are_new())
        CHECK_EQUAL(own_tid(), tid[i]);
    return (void *)(i * 11);
}

int main(void)
{
    pthread_t thread[N];
    for (uintptr_t i = 0; i < N; i++)
        CHECK_EQUAL(pthread_create(&thread[i], NULL, body, (void *)i), 0);
    while (arrived < N)
        doze(1);
    local = 99;

    ready();

    CHECK_EQUAL(local, 99);
    for (uintptr_t i = 0; i < N; i++) {
        void *result;
        CHECK_EQUAL(pthread_join(thread[i], &result), 0);
        CHECK_EQUAL((uintptr_t)result, i * 11);
    }
    pass();
}
