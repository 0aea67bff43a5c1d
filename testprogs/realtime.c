// Checks real-time scheduling: policy and priority of SCHED_FIFO and SCHED_RR threads.
// needs: cap_sys_nice
#include "journey.h"
#include <pthread.h>
#include <sched.h>

static volatile int arrived;

static void *body(void *arg)
{
    int policy = arg ? SCHED_RR : SCHED_FIFO;
    struct sched_param param = { .sched_priority = 3 + policy };
    if (sched_setscheduler(0, policy, &param))
        skip("no permission for real-time scheduling: %s", strerror(errno));
    __atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST);
    wait_for_go();
    param.sched_priority = 0;
    CHECK_EQUAL(sched_getscheduler(0), policy);
    MUST(sched_getparam(0, &param));
    CHECK_EQUAL(param.sched_priority, 3 + policy);
    return NULL;
}

int main(void)
{
    pthread_t thread[2];
    for (int i = 0; i < 2; i++)
        CHECK_EQUAL(pthread_create(&thread[i], NULL, body, i ? thread : NULL), 0);
    while (arrived < 2)
        doze(1);

    ready();

    for (int i = 0; i < 2; i++)
        CHECK_EQUAL(pthread_join(thread[i], NULL), 0);
    CHECK_EQUAL(sched_getscheduler(0), SCHED_OTHER);
    pass();
}
