// Checks the dumpable flag: a child has cleared it.
// needs: ptrace_cap
#include "journey.h"
#include <sys/prctl.h>

int main(void)
{
    struct gate gate = gate_new();
    pid_t pid = MUST(fork());
    if (pid == 0) {
        MUST(prctl(PR_SET_DUMPABLE, 0));
        gate_arrive(&gate);
        wait_for_go();
        CHECK_EQUAL(prctl(PR_GET_DUMPABLE), 0);
        _exit(0);
    }
    gate_collect(&gate, 1);

    ready();

    CHECK_EQUAL(prctl(PR_GET_DUMPABLE), 1);
    REAP(pid);
    pass();
}
