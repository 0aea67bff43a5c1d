// Checks processes blocked in sigwaitinfo and sigtimedwait: the signal that comes afterwards is theirs.
#include "journey.h"
#include <pthread.h>

static void *sender(void *arg)
{
    (void)arg;
    wait_for_go();
    doze(20);
    MUST(sigqueue(getpid(), SIGUSR1, (union sigval){ .sival_int = 31 }));
    return NULL;
}

static pid_t waiter(const struct timespec *limit)
{
    pid_t pid = MUST(fork());
    if (pid == 0) {
        pthread_t thread;
        sigset_t usr1;
        siginfo_t info;
        int signal;
        sigemptyset(&usr1);
        sigaddset(&usr1, SIGUSR1);
        MUST(sigprocmask(SIG_BLOCK, &usr1, NULL));
        CHECK_EQUAL(pthread_create(&thread, NULL, sender, NULL), 0);
        signal = sigtimedwait(&usr1, &info, limit);
        CHECK(signal == SIGUSR1, "sigtimedwait returned %d: %s", signal, strerror(errno));
        CHECK_EQUAL(info.si_value.sival_int, 31);
        CHECK_EQUAL(pthread_join(thread, NULL), 0);
        _exit(0);
    }
    wait_until_in_call(pid, SYS_rt_sigtimedwait);
    return pid;
}

int main(void)
{
    struct timespec hour = { 3600, 0 };
    pid_t one = waiter(NULL), two = waiter(&hour);

    ready();

    REAP(one);
    REAP(two);
    pass();
}
