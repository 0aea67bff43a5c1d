// Checks the child subreaper flag: orphans that appear afterwards become children of main.
#include "journey.h"
#include <sys/prctl.h>

int main(void)
{
    int flag = 0, status;
    MUST(prctl(PR_SET_CHILD_SUBREAPER, 1));
    struct gate gate = gate_new();
    pid_t pid = MUST(fork());
    if (pid == 0) {
        MUST(prctl(PR_GET_CHILD_SUBREAPER, &flag));
        CHECK_EQUAL(flag, 0);
        if (MUST(fork()) == 0) {
            gate_arrive(&gate);
            wait_for_go();
            doze(100);
            _exit(17);
        }
        wait_for_go();
        _exit(18);
    }
    gate_collect(&gate, 1);

    ready();

    MUST(prctl(PR_GET_CHILD_SUBREAPER, &flag));
    CHECK_EQUAL(flag, 1);
    int sum = 0;
    for (int i = 0; i < 2; i++) {
        CHECK(waitpid(-1, &status, 0) > 0, "only %d children came", i);
        sum += WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
    }
    CHECK_EQUAL(sum, 17 + 18);
    pass();
}
