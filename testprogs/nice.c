// Checks nice values, which the kernel keeps by thread.
#include "journey.h"
#include <pthread.h>
#include <sys/resource.h>

static volatile int arrived;

static void *body(void *arg)
{
    (void)arg;
    MUST(setpriority(PRIO_PROCESS, (id_t)own_tid(), 11));
    arrived = 1;
    wait_for_go();
    CHECK_EQUAL(getpriority(PRIO_PROCESS, (id_t)own_tid()), 11);
    return NULL;
}

int main(void)
{
    pthread_t thread;
    if (geteuid() != 0 && getpriority(PRIO_PROCESS, 0) > 7)
        skip("the nice value is above 7, and only root may lower it");
    CHECK_EQUAL(pthread_create(&thread, NULL, body, NULL), 0);
    while (!arrived)
        doze(1);
    MUST(setpriority(PRIO_PROCESS, 0, 7));

    ready();

    CHECK_EQUAL(getpriority(PRIO_PROCESS, 0), 7);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    pass();
}
