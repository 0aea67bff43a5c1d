// Checks the memory policy of two threads (set_mempolicy).
#include "journey.h"
#include <linux/mempolicy.h>
#include <pthread.h>

static volatile int arrived;

static int get(unsigned long *nodes)
{
    int mode = -1;
    MUST(syscall(SYS_get_mempolicy, &mode, nodes, 1024, NULL, 0));
    return mode;
}

static void *body(void *arg)
{
    unsigned long nodes[16] = { 1 };
    (void)arg;
    MUST(syscall(SYS_set_mempolicy, MPOL_BIND, nodes, 1024));
    arrived = 1;
    wait_for_go();
    memset(nodes, 0, sizeof nodes);
    CHECK_EQUAL(get(nodes), MPOL_BIND);
    CHECK_EQUAL(nodes[0], 1);
    return NULL;
}

int main(void)
{
    pthread_t thread;
    unsigned long nodes[16] = { 1 };
    if (syscall(SYS_set_mempolicy, MPOL_BIND, nodes, 1024))
        skip("no memory policies: %s", strerror(errno));
    MUST(syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0));
    CHECK_EQUAL(pthread_create(&thread, NULL, body, NULL), 0);
    while (!arrived)
        doze(1);

    ready();

    memset(nodes, 0, sizeof nodes);
    CHECK_EQUAL(get(nodes), MPOL_DEFAULT);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    pass();
}
