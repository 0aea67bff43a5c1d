// Checks the scheduling policies that everybody may choose, by thread: SCHED_BATCH, SCHED_IDLE, and reset-on-fork.
#include "journey.h"
#include <pthread.h>
#include <sched.h>

static const int policies[] = { SCHED_OTHER, SCHED_BATCH, SCHED_IDLE, SCHED_BATCH | SCHED_RESET_ON_FORK };
enum { N = sizeof policies / sizeof *policies };
static volatile int arrived;

static void *body(void *arg)
{
    int policy = policies[(uintptr_t)arg];
    struct sched_param param = { 0 };
    MUST(sched_setscheduler(0, policy, &param));
    __atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST);
    wait_for_go();
    CHECK_EQUAL(sched_getscheduler(0), policy);
    return NULL;
}

int main(void)
{
    pthread_t thread[N];
    for (uintptr_t i = 0; i < N; i++)
        CHECK_EQUAL(pthread_create(&thread[i], NULL, body, (void *)i), 0);
    while (arrived < N)
        doze(1);

    ready();

    for (int i = 0; i < N; i++)
        CHECK_EQUAL(pthread_join(thread[i], NULL), 0);
    CHECK_EQUAL(sched_getscheduler(0), SCHED_OTHER);
    pass();
}
