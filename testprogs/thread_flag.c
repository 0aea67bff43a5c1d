// Checks settings of single threads: reading of the time stamp counter, speculation, and what happens on broken memory.
#include "journey.h"
#include <pthread.h>
#include <sys/prctl.h>

static volatile int arrived;

static void get(int value[3])
{
    value[0] = value[1] = value[2] = -1;
    prctl(PR_GET_TSC, &value[0]);
    value[1] = prctl(PR_MCE_KILL_GET, 0, 0, 0, 0);
    value[2] = prctl(PR_GET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, 0, 0, 0);
}

static void check(const int before[3])
{
    int now[3];
    get(now);
    for (int i = 0; i < 3; i++)
        CHECK(now[i] == before[i], "setting %d is %d, was %d", i, now[i], before[i]);
}

static void *body(void *arg)
{
    int before[3];
    (void)arg;
    // What the machine does not allow is the same before and after.
    prctl(PR_SET_TSC, PR_TSC_SIGSEGV);
    prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0);
    prctl(PR_SET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, PR_SPEC_DISABLE, 0, 0);
    get(before);
    arrived = 1;
    // No clock is read here: that would need the counter.
    while (access("go", F_OK))
        syscall(SYS_sched_yield);
    check(before);
    prctl(PR_SET_TSC, PR_TSC_ENABLE);
    return NULL;
}

int main(void)
{
    pthread_t thread;
    int before[3];
    get(before);
    CHECK_EQUAL(pthread_create(&thread, NULL, body, NULL), 0);
    while (!arrived)
        doze(1);

    ready();

    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    check(before);
    pass();
}
