// Checks robust futex lists: the kernel still knows them, so that a thread which dies holding a robust lock is noticed.
#include "journey.h"
#include <pthread.h>

static pthread_mutex_t mutex;
static volatile int held;

static void *body(void *arg)
{
    void *head, *head_after;
    size_t length;
    (void)arg;
    MUST(syscall(SYS_get_robust_list, 0, &head, &length));
    CHECK_EQUAL(pthread_mutex_lock(&mutex), 0);
    held = 1;
    wait_for_go();
    MUST(syscall(SYS_get_robust_list, 0, &head_after, &length));
    CHECK(head == head_after, "the list is at %p, was at %p", head_after, head);
    return NULL;
}

int main(void)
{
    pthread_mutexattr_t attr;
    pthread_t thread;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&mutex, &attr);
    CHECK_EQUAL(pthread_create(&thread, NULL, body, NULL), 0);
    while (!held)
        doze(1);

    ready();

    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    // The owner's number in the lock is the old one, and the kernel compares it with the number of the dying thread.
    if (!pids_are_new()) {
        CHECK_EQUAL(pthread_mutex_lock(&mutex), EOWNERDEAD);
        CHECK_EQUAL(pthread_mutex_consistent(&mutex), 0);
        CHECK_EQUAL(pthread_mutex_unlock(&mutex), 0);
    }
    pass();
}
