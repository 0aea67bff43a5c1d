// Checks processes blocked in wait4 and waitid: they get the child's end, and no EINTR or ECHILD before.
#include "journey.h"

static void child_that_ends(int code)
{
    wait_for_go();
    doze(50);
    _exit(code);
}

int main(void)
{
    int status;
    siginfo_t info = { 0 };
    pid_t one = MUST(fork());
    if (one == 0) {
        if (MUST(fork()) == 0)
            child_that_ends(21);
        pid_t got = wait4(-1, &status, 0, NULL);
        CHECK(got > 0, "wait4: %s", strerror(errno));
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 21, "wait4 has the status %#x", status);
        _exit(0);
    }
    pid_t two = MUST(fork());
    if (two == 0) {
        if (MUST(fork()) == 0)
            child_that_ends(22);
        CHECK(waitid(P_ALL, 0, &info, WEXITED) == 0, "waitid: %s", strerror(errno));
        CHECK_EQUAL(info.si_status, 22);
        _exit(0);
    }
    wait_until_in_call(one, SYS_wait4);
    wait_until_in_call(two, SYS_waitid);

    ready();

    REAP(one);
    REAP(two);
    pass();
}
