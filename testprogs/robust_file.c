// Checks robust locks in a shared mapping of a file, held across a kill: neither the death of the job for a
// checkpoint nor that of a restart that failed marks them in the file. A thread and a process hold them, others wait.
#include "journey.h"
#include <pthread.h>

struct shared {
    pthread_mutex_t by_thread, by_child;
    volatile int taken[2], order;
};
static struct shared *shared;
static volatile pid_t waiting_thread;

static void *holds(void *arg)
{
    (void)arg;
    CHECK_EQUAL(pthread_mutex_lock(&shared->by_thread), 0);
    shared->taken[0] = 1;
    wait_for_go();
    shared->order = 1;
    CHECK_EQUAL(pthread_mutex_unlock(&shared->by_thread), 0);
    return NULL;
}

static void *waits(void *arg)
{
    (void)arg;
    waiting_thread = own_tid();
    int got = pthread_mutex_lock(&shared->by_thread);
    CHECK(got == 0 && shared->order == 1, "the waiting thread got the lock with \"%s\", order %d", strerror(got), shared->order);
    CHECK_EQUAL(pthread_mutex_unlock(&shared->by_thread), 0);
    return NULL;
}

int main(void)
{
    pthread_t holder, waiter;
    pthread_mutexattr_t attr;
    int fd = MUST(open("locks", O_RDWR | O_CREAT, 0600));
    MUST(ftruncate(fd, 4096));
    shared = MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&shared->by_thread, &attr);
    pthread_mutex_init(&shared->by_child, &attr);
    pid_t child = MUST(fork());
    if (child == 0) {
        CHECK_EQUAL(pthread_mutex_lock(&shared->by_child), 0);
        shared->taken[1] = 1;
        wait_for_go();
        if (!pids_are_new())
            CHECK_EQUAL(pthread_mutex_unlock(&shared->by_child), 0);
        _exit(0);
    }
    CHECK_EQUAL(pthread_create(&holder, NULL, holds, NULL), 0);
    while (!shared->taken[0] || !shared->taken[1])
        doze(1);
    CHECK_EQUAL(pthread_create(&waiter, NULL, waits, NULL), 0);
    while (!waiting_thread)
        doze(1);
    wait_until_in_call(waiting_thread, SYS_futex);

    ready();

    // With other ids the owners named in the locks are nobody.
    if (pids_are_new())
        pass();
    int got = pthread_mutex_lock(&shared->by_child);
    CHECK(got == 0, "the lock that the child held came with \"%s\"", strerror(got));
    CHECK_EQUAL(pthread_join(holder, NULL), 0);
    CHECK_EQUAL(pthread_join(waiter, NULL), 0);
    REAP(child);
    pass();
}
