// Checks signal actions of all 64 signals: handler, mask, flags and restorer; ignored ones and defaults.
#include "journey.h"

// As the kernel has it, so that the restorer and flags are seen unchanged by libc.
struct kernel_action {
    void *handler;
    unsigned long flags;
    void *restorer;
    uint64_t mask;
};

static volatile sig_atomic_t count, last, nested;

static void note(int signal)
{
    count++;
    last = signal;
}

static void check_mask(int signal, siginfo_t *info, void *context)
{
    sigset_t mask;
    (void)context;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    nested = sigismember(&mask, SIGUSR1) && sigismember(&mask, signal) && info->si_signo == signal;
}

static void get(int signal, struct kernel_action *action)
{
    memset(action, 0, sizeof *action);
    MUST(syscall(SYS_rt_sigaction, signal, NULL, action, 8));
}

int main(void)
{
    static const int flags[] = { 0, SA_RESTART, SA_NODEFER, SA_ONSTACK | SA_RESTART, SA_NOCLDSTOP | SA_NOCLDWAIT };
    struct kernel_action before[65], now;
    for (int signal = 1; signal <= 64; signal++) {
        struct sigaction action = { .sa_handler = note, .sa_flags = flags[signal % 5] };
        sigemptyset(&action.sa_mask);
        sigaddset(&action.sa_mask, 1 + signal * 7 % 64);
        if (signal % 4 == 0)
            action.sa_handler = SIG_IGN;
        // SIGKILL, SIGSTOP and the two of libc's own keep what they have; some stay at their defaults.
        if (signal % 11 && signal != SIGKILL && signal != SIGSTOP && signal != 32 && signal != 33)
            MUST(sigaction(signal, &action, NULL));
    }
    struct sigaction with_info = { .sa_sigaction = check_mask, .sa_flags = SA_SIGINFO };
    sigaddset(&with_info.sa_mask, SIGUSR1);
    MUST(sigaction(SIGUSR2, &with_info, NULL));
    struct sigaction once = { .sa_handler = note, .sa_flags = SA_RESETHAND };
    MUST(sigaction(SIGHUP, &once, NULL));
    for (int signal = 1; signal <= 64; signal++)
        get(signal, &before[signal]);

    ready();

    for (int signal = 1; signal <= 64; signal++) {
        get(signal, &now);
        CHECK(now.handler == before[signal].handler, "signal %d has the handler %p", signal, now.handler);
        CHECK(now.flags == before[signal].flags, "signal %d has the flags %#lx", signal, now.flags);
        CHECK(now.restorer == before[signal].restorer, "signal %d has the restorer %p", signal, now.restorer);
        CHECK(now.mask == before[signal].mask, "signal %d has the mask %#llx", signal, (unsigned long long)now.mask);
    }
    CHECK_EQUAL(count, 0);
    signal_self(SIGUSR1);
    CHECK(count == 1 && last == SIGUSR1, "the handler of SIGUSR1 did not run");
    signal_self(SIGUSR2);
    CHECK_EQUAL(nested, 1);
    signal_self(SIGHUP);
    get(SIGHUP, &now);
    CHECK(now.handler == NULL, "SA_RESETHAND has no effect");
    pass();
}
