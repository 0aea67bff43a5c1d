// Checks the parent-death signal: still set, not sent by a restart, and sent when the parent does die.
#include "journey.h"
#include <sys/prctl.h>

static volatile sig_atomic_t count;

static void note(int signal)
{
    (void)signal;
    count++;
}

int main(void)
{
    struct gate gate = gate_new();
    volatile int *result = MUST(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    pid_t pid = MUST(fork());
    if (pid == 0) {
        if (MUST(fork()) == 0) {
            int set = 0;
            signal(SIGUSR1, note);
            MUST(prctl(PR_SET_PDEATHSIG, SIGUSR1));
            gate_arrive(&gate);
            wait_for_go();
            MUST(prctl(PR_GET_PDEATHSIG, &set));
            result[0] = set;
            result[1] = count;
            result[2] = 1;
            while (!count)
                doze(5);
            result[3] = 1;
            _exit(0);
        }
        wait_for_go();
        while (!result[2])
            doze(5);
        _exit(0);
    }
    gate_collect(&gate, 1);

    ready();

    REAP(pid);
    CHECK_EQUAL(result[0], SIGUSR1);
    CHECK_EQUAL(result[1], 0);
    while (!result[3])
        doze(5);
    pass();
}
