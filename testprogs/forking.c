// Checks a program that forks and waits all the time: it is interrupted while children are born, end, and are zombies.
#include "journey.h"

int main(void)
{
    volatile int *stop = MUST(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    struct gate gate = gate_new();
    pid_t pid = MUST(fork());
    if (pid == 0) {
        gate_arrive(&gate);
        for (int i = 0; !*stop; i++) {
            int status;
            pid_t child = fork();
            CHECK(child >= 0, "fork %d: %s", i, strerror(errno));
            if (child == 0)
                _exit(i & 127);
            pid_t got = waitpid(-1, &status, 0);
            CHECK(got > 0, "waitpid %d: %s", i, strerror(errno));
            CHECK(WIFEXITED(status) && WEXITSTATUS(status) == (i & 127), "child %d ended with %#x", i, status);
        }
        _exit(0);
    }
    gate_collect(&gate, 1);

    ready();

    *stop = 1;
    REAP(pid);
    pass();
}
