// Checks a stopped child whose parent has not been told yet: a later wait reports the stop and its signal.
#include "journey.h"

int main(void)
{
    int status;
    pid_t pid = MUST(fork());
    if (pid == 0) {
        signal_self(SIGTSTP);
        _exit(3);
    }
    // SIGTSTP does not stop an orphaned group, and a harness may run us in one.
    siginfo_t info;
    MUST(waitid(P_PID, pid, &info, WSTOPPED | WEXITED | WNOWAIT));
    if (info.si_code != CLD_STOPPED)
        skip("the process group is orphaned: SIGTSTP has no effect");

    ready();

    pid = waitpid(-1, &status, WUNTRACED | WNOHANG);
    CHECK(pid > 0, "no child is reported as stopped");
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP, "the child has the status %#x", status);
    MUST(kill(pid, SIGCONT));
    CHECK_EQUAL(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3, "the child has the status %#x", status);
    pass();
}
