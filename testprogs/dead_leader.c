// Checks a process whose first thread has ended while others go on: the leader of the thread group is a zombie.
#include "journey.h"
#include <pthread.h>

static pthread_t first;
static pid_t pid;

static void *body(void *arg)
{
    (void)arg;
    while (stat_field(getpid(), 3) != 'Z')
        doze(1);

    ready();

    CHECK_EQUAL(stat_field(getpid(), 3), 'Z');
    if (!pids_are_new())
        CHECK_EQUAL(getpid(), pid);
    CHECK(own_tid() != getpid(), "the other thread has become the leader");
    CHECK_EQUAL(pthread_join(first, NULL), 0);
    pass();
}

int main(void)
{
    pthread_t thread;
    pid = getpid();
    first = pthread_self();
    CHECK_EQUAL(pthread_create(&thread, NULL, body, NULL), 0);
    pthread_exit(NULL);
}
