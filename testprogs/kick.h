// For programs that test one blocked system call per child: the child's first thread blocks in the call, a second one
// waits for `go` and then interrupts it by a signal. A call that returns before the kick was interrupted by the
// checkpoint, which must not happen.
#ifndef KICK_H
#define KICK_H
#include "journey.h"
#include <pthread.h>

static volatile sig_atomic_t kicked;

static void on_kick(int signal)
{
    (void)signal;
    kicked = 1;
}

static void *kicker(void *arg)
{
    (void)arg;
    wait_for_go();
    // What was interrupted too early, or has forgotten to block, shows in this time.
    doze(30);
    MUST(syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1));
    return NULL;
}

// Starts a child that runs a case, and returns when it is blocked in the call of that number.
HELPER pid_t blocked_child(void (*body)(void), long number)
{
    pid_t pid = MUST(fork());
    if (pid == 0) {
        pthread_t thread;
        sigset_t usr1;
        // SA_RESTART is not set: the signal makes the call return EINTR.
        struct sigaction action = { .sa_handler = on_kick };
        MUST(sigaction(SIGUSR1, &action, NULL));
        sigemptyset(&usr1);
        sigaddset(&usr1, SIGUSR1);
        pthread_sigmask(SIG_BLOCK, &usr1, NULL);
        CHECK_EQUAL(pthread_create(&thread, NULL, kicker, NULL), 0);
        pthread_sigmask(SIG_UNBLOCK, &usr1, NULL);
        body();
        CHECK_EQUAL(pthread_join(thread, NULL), 0);
        _exit(0);
    }
    wait_until_in_call(pid, number);
    return pid;
}

#define CHECK_KICKED(result) \
    do { \
        long result_ = (result); \
        int errno_ = errno; \
        CHECK(kicked, "%s returned %ld (%s) before the kick", #result, result_, strerror(errno_)); \
        CHECK(result_ == -1 && errno_ == EINTR, "%s returned %ld (%s)", #result, result_, strerror(errno_)); \
    } while (0)

#endif
