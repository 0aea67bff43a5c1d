// Checks a child that shares its parent's memory without being a thread of it (CLONE_VM).
#include "journey.h"
#include <sched.h>

static volatile int from_child, from_parent;

static int child(void *arg)
{
    (void)arg;
    from_child = 1;
    while (from_parent != 1)
        doze(5);
    // Areas made after the restart are shared as well.
    *(char *volatile *)arg = MUST(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    **(char *volatile *)arg = 77;
    from_child = 2;
    while (from_parent != 2)
        doze(5);
    _exit(0);
}

int main(void)
{
    static char *volatile area;
    char *stack = MUST(mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    pid_t pid = MUST(clone(child, stack + 64 * PAGE, CLONE_VM | SIGCHLD, (void *)&area));
    while (from_child != 1)
        doze(1);

    ready();

    from_parent = 1;
    while (from_child != 2)
        doze(1);
    CHECK(area && *area == 77, "the child's area is not ours too");
    from_parent = 2;
    REAP(pid);
    pass();
}
