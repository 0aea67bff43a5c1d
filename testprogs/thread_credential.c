// Checks credentials that differ between threads of one process, as the kernel (not libc) allows.
// needs: root
#include "journey.h"
#include <pthread.h>

static volatile int arrived;

static void look(unsigned uid, unsigned gid, unsigned groups)
{
    char path[64], wanted[100];
    snprintf(path, sizeof path, "/proc/self/task/%d/status", own_tid());
    snprintf(wanted, sizeof wanted, "%u\t%u\t%u\t%u", uid, uid, uid, uid);
    CHECK_TEXT(field(path, "Uid:"), wanted);
    snprintf(wanted, sizeof wanted, "%u\t%u\t%u\t%u", gid, gid, gid, gid);
    CHECK_TEXT(field(path, "Gid:"), wanted);
    unsigned list[64];
    CHECK_EQUAL(syscall(SYS_getgroups, 64, list), 1);
    CHECK_EQUAL(list[0], groups);
}

static void *body(void *arg)
{
    unsigned id = (unsigned)(uintptr_t)arg, groups = id + 1;
    // The raw calls change this thread alone.
    MUST(syscall(SYS_setgroups, 1, &groups));
    MUST(syscall(SYS_setresgid, id, id, id));
    MUST(syscall(SYS_setresuid, id, id, id));
    __atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST);
    while (access("go", F_OK))
        doze(10);
    look(id, id, groups);
    CHECK(syscall(SYS_setresuid, 0, 0, 0) == -1, "the thread has got its power back");
    return NULL;
}

int main(void)
{
    pthread_t thread[2];
    unsigned groups = 5;
    if (geteuid())
        skip("not root");
    if (syscall(SYS_setgroups, 1, &groups))
        skip("groups cannot be set: %s", strerror(errno));
    MUST(chmod(".", 0777));
    for (uintptr_t i = 0; i < 2; i++)
        CHECK_EQUAL(pthread_create(&thread[i], NULL, body, (void *)(7001 + i * 100)), 0);
    while (arrived < 2)
        doze(1);

    ready();

    look(0, 0, 5);
    for (int i = 0; i < 2; i++)
        CHECK_EQUAL(pthread_join(thread[i], NULL), 0);
    pass();
}
