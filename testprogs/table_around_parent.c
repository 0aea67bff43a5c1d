// Checks a process that shares its descriptors with its grandparent and not with its parent: no restart can make that again.
#include "journey.h"
#include <sched.h>

static pid_t clone_raw(unsigned long flags)
{
    return (pid_t)MUST(syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0));
}

int main(void)
{
    volatile int *step = MUST(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    pid_t parent = clone_raw(CLONE_FILES);
    if (parent == 0) {
        pid_t child = clone_raw(CLONE_FILES);
        if (child == 0) {
            while (*step != 2)
                doze(5);
            CHECK_EQUAL(MUST(dup2(0, 300)), 300);
            _exit(0);
        }
        MUST(unshare(CLONE_FILES));
        *step = 1;
        REAP(child);
        CHECK(fcntl(300, F_GETFD) == -1, "the parent has the table too");
        _exit(0);
    }
    while (*step != 1)
        doze(5);

    ready();

    *step = 2;
    REAP(parent);
    MUST(fcntl(300, F_GETFD));
    pass();
}
