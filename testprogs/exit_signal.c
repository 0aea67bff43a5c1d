// Checks children that announce their end by another signal than SIGCHLD, or by none.
#include "journey.h"

static volatile sig_atomic_t count[65];

static void note(int signal)
{
    count[signal]++;
}

int main(void)
{
    int signals[3] = { SIGUSR1, SIGRTMIN + 3, 0 };
    pid_t pid[3];
    struct gate gate = gate_new();
    signal(SIGUSR1, note);
    signal(SIGRTMIN + 3, note);
    signal(SIGCHLD, note);
    for (int i = 0; i < 3; i++) {
        pid[i] = (pid_t)MUST(syscall(SYS_clone, (unsigned long)signals[i], 0, 0, 0, 0));
        if (pid[i] == 0) {
            gate_arrive(&gate);
            wait_for_go();
            _exit(0);
        }
    }
    gate_collect(&gate, 3);

    ready();

    // Without __WCLONE such children are not waited for.
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD, "a child counts as an ordinary one");
    for (int i = 0; i < 3; i++)
        REAP(pid[i]);
    CHECK_EQUAL(count[SIGUSR1], 1);
    CHECK_EQUAL(count[SIGRTMIN + 3], 1);
    CHECK_EQUAL(count[SIGCHLD], 0);
    pass();
}
