// Checks no_new_privs: set in main, not in a child that was born before.
#include "journey.h"
#include <sys/prctl.h>

int main(void)
{
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0))
        skip("no_new_privs is set already");
    pid_t pid = MUST(fork());
    if (pid == 0) {
        wait_for_go();
        CHECK_EQUAL(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
        _exit(0);
    }
    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));

    ready();

    CHECK_EQUAL(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
    REAP(pid);
    pass();
}
