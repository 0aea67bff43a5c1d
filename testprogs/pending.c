// Checks pending signals: of the process and of a thread, with their siginfo, blocked until afterwards.
#include "journey.h"

static siginfo_t got[65];
static int count[65];

static void note(int signal, siginfo_t *info, void *context)
{
    (void)context;
    got[signal] = *info;
    count[signal]++;
}

int main(void)
{
    sigset_t blocked, pending, now;
    struct sigaction action = { .sa_sigaction = note, .sa_flags = SA_SIGINFO };
    pid_t pid = getpid();
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigaddset(&blocked, SIGUSR2);
    sigaddset(&blocked, SIGALRM);
    sigaddset(&blocked, SIGCHLD);
    sigaddset(&blocked, SIGSEGV);
    sigaddset(&blocked, SIGTERM);
    for (int i = 1; i <= 64; i++)
        if (sigismember(&blocked, i))
            MUST(sigaction(i, &action, NULL));
    MUST(sigprocmask(SIG_BLOCK, &blocked, NULL));
    // To the process, to this thread, with a value, and from the end of a child.
    MUST(kill(getpid(), SIGUSR1));
    signal_self(SIGUSR2);
    MUST(sigqueue(getpid(), SIGALRM, (union sigval){ .sival_ptr = &blocked }));
    signal_self(SIGSEGV);
    pid_t child = MUST(fork());
    if (child == 0)
        _exit(9);
    siginfo_t info;
    MUST(waitid(P_PID, child, &info, WEXITED | WNOWAIT));

    ready();

    sigpending(&pending);
    sigprocmask(SIG_SETMASK, NULL, &now);
    for (int i = 1; i <= 64; i++) {
        CHECK(sigismember(&now, i) == sigismember(&blocked, i), "signal %d is %sblocked", i, sigismember(&now, i) ? "" : "not ");
        CHECK(sigismember(&pending, i) == (sigismember(&blocked, i) && i != SIGTERM), "signal %d is%s pending", i,
              sigismember(&pending, i) ? "" : " not");
    }
    // The two kinds of pending signals are apart.
    CHECK_EQUAL(strtoull(field("/proc/thread-self/status", "SigPnd:"), NULL, 16), 1ULL << (SIGUSR2 - 1) | 1ULL << (SIGSEGV - 1));
    MUST(sigprocmask(SIG_UNBLOCK, &blocked, NULL));
    CHECK_EQUAL(count[SIGUSR1] + count[SIGUSR2] + count[SIGALRM] + count[SIGSEGV] + count[SIGCHLD], 5);
    CHECK_EQUAL(count[SIGTERM], 0);
    CHECK_EQUAL(got[SIGUSR1].si_code, SI_USER);
    CHECK_EQUAL(got[SIGUSR2].si_code, SI_TKILL);
    CHECK_EQUAL(got[SIGALRM].si_code, SI_QUEUE);
    CHECK(got[SIGALRM].si_value.sival_ptr == &blocked, "the value is lost");
    CHECK_EQUAL(got[SIGCHLD].si_code, CLD_EXITED);
    CHECK_EQUAL(got[SIGCHLD].si_status, 9);
    if (!pids_are_new()) {
        CHECK_EQUAL(got[SIGUSR1].si_pid, pid);
        CHECK_EQUAL(got[SIGALRM].si_pid, pid);
        CHECK_EQUAL(got[SIGCHLD].si_pid, child);
    }
    CHECK_EQUAL(got[SIGUSR1].si_uid, getuid());
    CHECK(waitpid(-1, NULL, 0) > 0, "the child is gone");
    pass();
}
