// Checks I/O priorities by thread: best effort with a level, and idle.
#include "journey.h"
#include <linux/ioprio.h>
#include <pthread.h>

static volatile int arrived;

static void *body(void *arg)
{
    int priority = arg ? IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0) : IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 2);
    MUST(syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, priority));
    __atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST);
    wait_for_go();
    CHECK_EQUAL(syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0), priority);
    return NULL;
}

int main(void)
{
    pthread_t thread[2];
    for (int i = 0; i < 2; i++)
        CHECK_EQUAL(pthread_create(&thread[i], NULL, body, i ? thread : NULL), 0);
    while (arrived < 2)
        doze(1);
    long before = MUST(syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0));

    ready();

    CHECK_EQUAL(syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0), before);
    for (int i = 0; i < 2; i++)
        CHECK_EQUAL(pthread_join(thread[i], NULL), 0);
    pass();
}
