// Checks ten thousand pending signals of the process and of its thread: all come, in order, with their values.
#include "journey.h"

enum { N = 10000 };

static int next[2];

static void check(int signal, siginfo_t *info, void *context)
{
    (void)context;
    int *expected = &next[signal - SIGRTMIN];
    CHECK_EQUAL(info->si_value.sival_int, *expected);
    ++*expected;
}

int main(void)
{
    sigset_t blocked;
    sigemptyset(&blocked);
    for (int i = 0; i < 2; i++) {
        struct sigaction action = { .sa_sigaction = check, .sa_flags = SA_SIGINFO };
        MUST(sigaction(SIGRTMIN + i, &action, NULL));
        sigaddset(&blocked, SIGRTMIN + i);
    }
    MUST(sigprocmask(SIG_BLOCK, &blocked, NULL));
    for (int i = 0; i < N / 2; i++) {
        siginfo_t info = { .si_code = SI_QUEUE, .si_pid = getpid(), .si_uid = getuid() };
        info.si_value.sival_int = i;
        if (sigqueue(getpid(), SIGRTMIN, info.si_value) && errno == EAGAIN)
            skip("no more than %d pending signals", 2 * i);
        if (syscall(SYS_rt_tgsigqueueinfo, getpid(), own_tid(), SIGRTMIN + 1, &info) && errno == EAGAIN)
            skip("no more than %d pending signals", 2 * i + 1);
    }

    ready();

    MUST(sigprocmask(SIG_UNBLOCK, &blocked, NULL));
    CHECK_EQUAL(next[0], N / 2);
    CHECK_EQUAL(next[1], N / 2);
    pass();
}
