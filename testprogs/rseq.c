// Checks restartable sequences: the kernel still keeps cpu_id up to date in every thread's area.
// needs: rseq
#include "journey.h"
#include <pthread.h>
#include <sched.h>
#include <sys/rseq.h>

static volatile int arrived;

static struct rseq *area(void)
{
    return (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
}

static void *body(void *arg)
{
    cpu_set_t allowed;
    __atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST);
    if (arg)
        wait_for_go();
    sched_getaffinity(0, sizeof allowed, &allowed);
    // Pinned to a processor the thread knows what must stand in the area.
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        cpu_set_t one;
        if (!CPU_ISSET(cpu, &allowed))
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        MUST(sched_setaffinity(0, sizeof one, &one));
        CHECK_EQUAL(*(volatile uint32_t *)&area()->cpu_id, cpu);
    }
    MUST(sched_setaffinity(0, sizeof allowed, &allowed));
    // It is registered: the kernel refuses another area.
    static __thread struct rseq mine __attribute__((aligned(32)));
    CHECK(syscall(SYS_rseq, &mine, sizeof mine, 0, RSEQ_SIG) == -1 && errno != ENOSYS, "no area was registered");
    return NULL;
}

int main(void)
{
    pthread_t thread[3];
    if (__rseq_size == 0 || (int32_t)area()->cpu_id < 0)
        skip("libc has registered no rseq area");
    for (int i = 0; i < 3; i++)
        CHECK_EQUAL(pthread_create(&thread[i], NULL, body, &thread), 0);
    while (arrived < 3)
        doze(1);

    ready();

    body(NULL);
    for (int i = 0; i < 3; i++)
        CHECK_EQUAL(pthread_join(thread[i], NULL), 0);
    pass();
}
