// Checks a hundred children, each with contents of its own.
#include "journey.h"

enum { N = 100 };
static struct gate gate;
static char memory[10000];

static void child(void *arg)
{
    fill(memory, sizeof memory, (uintptr_t)arg * 977);
    gate_arrive(&gate);
    wait_for_go();
    CHECK_FILLED(memory, sizeof memory, (uintptr_t)arg * 977);
}

int main(void)
{
    pid_t pid[N];
    gate = gate_new();
    for (uintptr_t i = 0; i < N; i++)
        pid[i] = spawn(child, (void *)i);
    gate_collect(&gate, N);

    ready();

    for (int i = 0; i < N; i++)
        REAP(pid[i]);
    pass();
}
