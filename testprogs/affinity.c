// Checks processor affinity by thread: each of two threads is bound to one processor.
#include "journey.h"
#include <pthread.h>
#include <sched.h>

static volatile int arrived;
static cpu_set_t allowed;

static void *body(void *arg)
{
    int wanted = arg != NULL, cpu = -1, n = CPU_COUNT(&allowed);
    cpu_set_t one, now;
    // The first processor, and the last.
    for (int i = 0, k = 0; i < CPU_SETSIZE && cpu < 0; i++)
        if (CPU_ISSET(i, &allowed) && k++ == wanted * (n - 1))
            cpu = i;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    MUST(sched_setaffinity(0, sizeof one, &one));
    __atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST);
    wait_for_go();
    MUST(sched_getaffinity(0, sizeof now, &now));
    CHECK(CPU_EQUAL(&now, &one), "the thread may run on %d processors, bound to %d", CPU_COUNT(&now), cpu);
    CHECK_EQUAL(sched_getcpu(), cpu);
    return NULL;
}

int main(void)
{
    pthread_t thread[2];
    cpu_set_t now;
    MUST(sched_getaffinity(0, sizeof allowed, &allowed));
    for (int i = 0; i < 2; i++)
        CHECK_EQUAL(pthread_create(&thread[i], NULL, body, i ? thread : NULL), 0);
    while (arrived < 2)
        doze(1);

    ready();

    MUST(sched_getaffinity(0, sizeof now, &now));
    CHECK(CPU_EQUAL(&now, &allowed), "main's affinity has changed");
    for (int i = 0; i < 2; i++)
        CHECK_EQUAL(pthread_join(thread[i], NULL), 0);
    pass();
}
