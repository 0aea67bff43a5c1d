// Checks two hundred threads: tids, names, signal masks and stack contents of all of them.
#include "journey.h"
#include <pthread.h>

enum { N = 200 };
static volatile int arrived;

static void *body(void *arg)
{
    uintptr_t i = (uintptr_t)arg;
    pid_t tid = own_tid();
    char name[16], now[16], stack[1000];
    sigset_t mask, masked;
    snprintf(name, sizeof name, "thread-%d", (int)i);
    CHECK_EQUAL(pthread_setname_np(pthread_self(), name), 0);
    sigemptyset(&mask);
    sigaddset(&mask, SIGRTMIN + (int)(i % 20));
    CHECK_EQUAL(pthread_sigmask(SIG_SETMASK, &mask, NULL), 0);
    fill(stack, sizeof stack, i);
    __atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST);
    wait_for_go();
    if (!pids_are_new())
        CHECK_EQUAL(own_tid(), tid);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", own_tid());
    CHECK(slurp(path, now, sizeof now) > 0, "cannot read %s", path);
    now[strcspn(now, "\n")] = 0;
    CHECK_TEXT(now, name);
    CHECK_EQUAL(pthread_sigmask(SIG_SETMASK, NULL, &masked), 0);
    for (int signal = 1; signal <= 64; signal++)
        CHECK(sigismember(&masked, signal) == sigismember(&mask, signal), "signal %d in the mask of %s", signal, name);
    CHECK_FILLED(stack, sizeof stack, i);
    return NULL;
}

int main(void)
{
    pthread_t thread[N];
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 65536);
    for (uintptr_t i = 0; i < N; i++)
        CHECK_EQUAL(pthread_create(&thread[i], &attr, body, (void *)i), 0);
    while (arrived < N)
        doze(1);

    ready();

    for (int i = 0; i < N; i++)
        CHECK_EQUAL(pthread_join(thread[i], NULL), 0);
    // pthread_join returns when the thread's id is cleared, a little before it is gone.
    for (int patience = 5000; 0 < patience && atoi(field("/proc/self/status", "Threads:")) != 1; patience--)
        doze(1);
    CHECK_EQUAL(atoi(field("/proc/self/status", "Threads:")), 1);
    pass();
}
