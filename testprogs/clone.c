// Checks children made by the raw clone and clone3 calls, without libc's knowledge.
#include "journey.h"
#include <linux/sched.h>

int main(void)
{
    struct gate gate = gate_new();
    int marker = 5;
    struct clone_args args = { .exit_signal = SIGCHLD };
    pid_t pid[2];
    for (int i = 0; i < 2; i++) {
        pid[i] = i ? syscall(SYS_clone3, &args, sizeof args) : syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
        CHECK(pid[i] >= 0, "call %d: %s", i, strerror(errno));
        if (pid[i] == 0) {
            marker = 10 + i;
            gate_arrive(&gate);
            wait_for_go();
            CHECK_EQUAL(marker, 10 + i);
            _exit(0);
        }
    }
    gate_collect(&gate, 2);

    ready();

    CHECK_EQUAL(marker, 5);
    REAP(pid[0]);
    REAP(pid[1]);
    pass();
}
