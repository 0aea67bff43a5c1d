// Checks a child that shares memory and signal actions with its parent (CLONE_VM and CLONE_SIGHAND).
#include "journey.h"
#include <sched.h>

static volatile int step;

static void note(int signal)
{
    (void)signal;
}

static int child(void *arg)
{
    (void)arg;
    step = 1;
    while (step != 2)
        doze(5);
    signal(SIGUSR1, note);
    step = 3;
    _exit(0);
}

int main(void)
{
    struct sigaction action;
    char *stack = MUST(mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    signal(SIGUSR1, SIG_IGN);
    pid_t pid = MUST(clone(child, stack + 64 * PAGE, CLONE_VM | CLONE_SIGHAND | SIGCHLD, NULL));
    while (step != 1)
        doze(1);

    ready();

    MUST(sigaction(SIGUSR1, NULL, &action));
    CHECK(action.sa_handler == SIG_IGN, "the action is lost");
    step = 2;
    REAP(pid);
    MUST(sigaction(SIGUSR1, NULL, &action));
    CHECK(action.sa_handler == note, "the child's action is not ours too");
    pass();
}
