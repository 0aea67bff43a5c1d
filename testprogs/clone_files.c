// Checks a child that shares its parent's descriptor table (CLONE_FILES), and one that does not.
#include "journey.h"
#include <sched.h>

static pid_t clone_raw(unsigned long flags)
{
    return (pid_t)MUST(syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0));
}

int main(void)
{
    volatile int *step = MUST(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    struct gate gate = gate_new();
    pid_t sharer = clone_raw(CLONE_FILES);
    if (sharer == 0) {
        MUST(write(gate.fd[1], "x", 1));
        while (*step != 1)
            doze(5);
        CHECK_EQUAL(MUST(dup2(0, 300)), 300);
        *step = 2;
        while (*step != 3)
            doze(5);
        _exit(0);
    }
    pid_t other = clone_raw(0);
    if (other == 0) {
        gate_arrive(&gate);
        wait_for_go();
        while (*step < 2)
            doze(5);
        CHECK(fcntl(300, F_GETFD) == -1, "the other child has the table too");
        _exit(0);
    }
    char bytes[2];
    // The sharer's ends are ours: gate_collect would close what it writes to.
    CHECK_EQUAL(read(gate.fd[0], bytes, 1) + read(gate.fd[0], bytes + 1, 1), 2);
    close(gate.fd[0]);
    close(gate.fd[1]);

    ready();

    CHECK(fcntl(300, F_GETFD) == -1, "descriptor 300 is open too early");
    *step = 1;
    while (*step != 2)
        doze(5);
    CHECK(fcntl(300, F_GETFD) >= 0, "the child's descriptor is not ours too");
    REAP(other);
    *step = 3;
    REAP(sharer);
    pass();
}
