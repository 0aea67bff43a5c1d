// Checks seccomp filters that all threads got at once (TSYNC), one of them logged, and their order: the strictest wins, and of
// two that fail with an errno the youngest.
// needs: seccomp
#include "seccomp.h"
#include <pthread.h>

static volatile int arrived;

static void look(void)
{
    CHECK(syscall(SYS_getpriority, 0, 0) == -1 && errno == 82, "errno is %d", errno);
    CHECK(syscall(SYS_sync) == -1 && errno == 83, "errno is %d", errno);
}

static void *body(void *arg)
{
    (void)arg;
    arrived = 1;
    wait_for_go();
    look();
    return NULL;
}

int main(void)
{
    pthread_t thread;
    CHECK_EQUAL(pthread_create(&thread, NULL, body, NULL), 0);
    while (!arrived)
        doze(1);
    if (install_filter(SYS_getpriority, 81, SECCOMP_FILTER_FLAG_TSYNC))
        skip("no seccomp filters: %s", strerror(errno));
    MUST(install_filter(SYS_getpriority, 82, SECCOMP_FILTER_FLAG_TSYNC));
    MUST(install_filter(SYS_sync, 83, SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG));

    ready();

    look();
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    pass();
}
