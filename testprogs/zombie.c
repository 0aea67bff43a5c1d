// Checks zombies: children that ended before the checkpoint keep the status that a later wait collects.
#include "journey.h"

int main(void)
{
    // Ended by exit, by two signals, and with an exit status that has all bits.
    int signals[4] = { 0, SIGKILL, SIGTERM, 0 }, codes[4] = { 42, 0, 0, 255 }, seen[4] = { 0 };
    pid_t pid[4];
    for (int i = 0; i < 4; i++) {
        pid[i] = MUST(fork());
        if (pid[i] == 0) {
            if (signals[i])
                signal_self(signals[i]);
            _exit(codes[i]);
        }
        siginfo_t info;
        MUST(waitid(P_PID, pid[i], &info, WEXITED | WNOWAIT));
    }

    ready();

    for (int n = 0; n < 4; n++) {
        siginfo_t info = { 0 };
        int status, i;
        MUST(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT | WNOHANG));
        CHECK(info.si_pid, "zombie %d is missing", n);
        CHECK_EQUAL(waitpid(info.si_pid, &status, 0), info.si_pid);
        for (i = 0; i < 4; i++)
            if (!seen[i] && (signals[i] ? WIFSIGNALED(status) && WTERMSIG(status) == signals[i]
                                        : WIFEXITED(status) && WEXITSTATUS(status) == codes[i]))
                break;
        CHECK(i < 4, "a zombie has the status %#x", status);
        CHECK(pids_are_new() || info.si_pid == pid[i], "zombie %d has the pid %d, had %d", i, info.si_pid, pid[i]);
        CHECK_EQUAL(info.si_code, signals[i] ? CLD_KILLED : CLD_EXITED);
        CHECK_EQUAL(info.si_status, signals[i] ? signals[i] : codes[i]);
        seen[i] = 1;
    }
    CHECK(waitpid(-1, NULL, 0) == -1 && errno == ECHILD, "a zombie too many");
    pass();
}
