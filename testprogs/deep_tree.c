// Checks a chain of processes twenty deep.
#include "journey.h"

static struct gate gate;

static void link_of_chain(void *arg)
{
    uintptr_t depth = (uintptr_t)arg;
    pid_t below = 0, parent = getppid();
    if (depth < 20)
        below = spawn(link_of_chain, (void *)(depth + 1));
    gate_arrive(&gate);
    wait_for_go();
    if (!pids_are_new())
        CHECK_EQUAL(getppid(), parent);
    if (below)
        REAP(below);
}

int main(void)
{
    gate = gate_new();
    pid_t pid = spawn(link_of_chain, (void *)1);
    gate_collect(&gate, 20);

    ready();

    REAP(pid);
    pass();
}
