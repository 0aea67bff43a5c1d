// Checks that memory which was forbidden to become executable stays so (PR_SET_MDWE), in a child.
#include "journey.h"
#include <sys/prctl.h>
#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_GET_MDWE 66
#endif

int main(void)
{
    struct gate gate = gate_new();
    char byte;
    pid_t pid = MUST(fork());
    if (pid == 0) {
        char *code = MUST(mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        char *data = MUST(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        if (prctl(PR_SET_MDWE, 1, 0, 0, 0))
            _exit(0);
        gate_arrive(&gate);
        wait_for_go();
        CHECK_EQUAL(prctl(PR_GET_MDWE, 0, 0, 0, 0), 1);
        CHECK(mprotect(data, PAGE, PROT_READ | PROT_EXEC) == -1 && errno == EACCES, "data has become code");
        CHECK_EQUAL(code[0], 0);
        _exit(0);
    }
    close(gate.fd[1]);
    if (read(gate.fd[0], &byte, 1) != 1)
        skip("no PR_SET_MDWE");
    close(gate.fd[0]);

    ready();

    REAP(pid);
    pass();
}
