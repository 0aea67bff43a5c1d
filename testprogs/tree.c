// Checks a tree: three children with two grandchildren each; everybody still has the parent it had.
#include "journey.h"

static struct gate gate;

static void grandchild(void *arg)
{
    pid_t parent = getppid();
    uint64_t seed = (uintptr_t)arg;
    static char memory[20000];
    fill(memory, sizeof memory, seed);
    gate_arrive(&gate);
    wait_for_go();
    CHECK_FILLED(memory, sizeof memory, seed);
    if (!pids_are_new())
        CHECK_EQUAL(getppid(), parent);
}

static void child(void *arg)
{
    pid_t pid[2], self = getpid(), parent = getppid();
    for (int i = 0; i < 2; i++)
        pid[i] = spawn(grandchild, (char *)arg + i);
    gate_arrive(&gate);
    wait_for_go();
    if (!pids_are_new()) {
        CHECK_EQUAL(getpid(), self);
        CHECK_EQUAL(getppid(), parent);
    }
    for (int i = 0; i < 2; i++)
        REAP(pid[i]);
    CHECK(waitpid(-1, NULL, 0) == -1 && errno == ECHILD, "a child has a child too many");
}

int main(void)
{
    pid_t pid[3];
    gate = gate_new();
    for (uintptr_t i = 0; i < 3; i++)
        pid[i] = spawn(child, (void *)(100 * i));
    gate_collect(&gate, 9);

    ready();

    for (int i = 0; i < 3; i++)
        REAP(pid[i]);
    CHECK(waitpid(-1, NULL, 0) == -1 && errno == ECHILD, "main has a child too many");
    pass();
}
