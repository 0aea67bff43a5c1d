// Checks a parent that is blocked in vfork: its child shares its memory and has not ended yet. Nothing can stop such a
// parent before the child lets it go, so a checkpoint may refuse this program; it must not harm it.
// verdict: may be refused
#include "journey.h"

static void wait_in_child(void)
{
    while (access("go", F_OK))
        doze(10);
}

int main(void)
{
    volatile int value = 1;
    pid_t pid = vfork();
    if (pid == 0) {
        CHECK_EQUAL(write(1, "READY\n", 6), 6);
        wait_in_child();
        value = 2;
        _exit(0);
    }
    CHECK(pid > 0, "vfork: %s", strerror(errno));
    wait_for_go();
    CHECK_EQUAL(value, 2);
    REAP(pid);
    pass();
}
