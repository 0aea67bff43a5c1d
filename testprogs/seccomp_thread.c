// Checks that seccomp filters belong to threads: one thread has a filter, main has none.
// needs: seccomp
#include "seccomp.h"
#include <pthread.h>

static volatile int arrived;

static void *body(void *arg)
{
    (void)arg;
    if (install_filter(SYS_getpriority, 73, 0))
        skip("no seccomp filters: %s", strerror(errno));
    arrived = 1;
    wait_for_go();
    CHECK(syscall(SYS_getpriority, 0, 0) == -1 && errno == 73, "the thread's filter is lost");
    return NULL;
}

int main(void)
{
    pthread_t thread;
    CHECK_EQUAL(pthread_create(&thread, NULL, body, NULL), 0);
    while (!arrived)
        doze(1);

    ready();

    CHECK(syscall(SYS_getpriority, 0, 0) > 0, "main has got the filter: %s", strerror(errno));
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    pass();
}
