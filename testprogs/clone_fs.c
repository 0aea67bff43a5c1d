// Checks a child that shares its parent's working directory and umask (CLONE_FS).
#include "journey.h"
#include <sched.h>

int main(void)
{
    volatile int *step = MUST(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    MUST(mkdir("below", 0755));
    umask(021);
    pid_t pid = (pid_t)MUST(syscall(SYS_clone, CLONE_FS | SIGCHLD, 0, 0, 0, 0));
    if (pid == 0) {
        *step = 1;
        while (*step != 2)
            doze(5);
        CHECK_EQUAL(umask(037), 021);
        MUST(chdir("below"));
        *step = 3;
        _exit(0);
    }
    while (*step != 1)
        doze(1);

    ready();

    *step = 2;
    REAP(pid);
    CHECK_EQUAL(*step, 3);
    CHECK_EQUAL(umask(0), 037);
    CHECK(access("../below", F_OK) == 0, "the child's chdir did not move the parent");
    pass();
}
