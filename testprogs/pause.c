// Checks processes blocked in pause and sigsuspend; the mask of the latter is put back when it returns.
#include "kick.h"

static void in_pause(void)
{
    CHECK_KICKED(syscall(SYS_pause));
}

static void in_sigsuspend(void)
{
    sigset_t usual, meanwhile, after;
    sigemptyset(&usual);
    sigaddset(&usual, SIGUSR1);
    sigaddset(&usual, SIGTERM);
    MUST(sigprocmask(SIG_SETMASK, &usual, NULL));
    sigfillset(&meanwhile);
    sigdelset(&meanwhile, SIGUSR1);
    CHECK_KICKED(sigsuspend(&meanwhile));
    MUST(sigprocmask(SIG_SETMASK, NULL, &after));
    for (int i = 1; i <= 64; i++)
        CHECK(sigismember(&after, i) == sigismember(&usual, i), "the mask has changed for signal %d", i);
}

int main(void)
{
    pid_t first = blocked_child(in_pause, SYS_pause), second = blocked_child(in_sigsuspend, SYS_rt_sigsuspend);

    ready();

    REAP(first);
    REAP(second);
    pass();
}
