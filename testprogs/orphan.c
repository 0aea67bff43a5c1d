// Checks an orphan: a process of the group whose parent has gone. It belongs to the job by its process group only.
// scope: group
#include "journey.h"

int main(void)
{
    pid_t self = getpid();
    struct gate gate = gate_new();
    pid_t parent = MUST(fork());
    if (parent == 0) {
        pid_t middle = getpid();
        if (MUST(fork()) == 0) {
            while (getppid() == middle)
                doze(1);
            gate_arrive(&gate);
            wait_for_go();
            CHECK(getppid() != self || pids_are_new(), "the orphan has become a child of the eldest");
            CHECK(getppid() != middle || pids_are_new(), "the orphan has its dead parent again");
            int fd = MUST(open("orphan.done", O_WRONLY | O_CREAT, 0644));
            close(fd);
        }
        _exit(0);
    }
    CHECK_EQUAL(waitpid(parent, NULL, 0), parent);
    gate_collect(&gate, 1);

    ready();

    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD, "main has a child it should not have");
    while (access("orphan.done", F_OK))
        doze(10);
    pass();
}
