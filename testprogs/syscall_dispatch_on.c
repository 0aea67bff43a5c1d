// Checks a thread that is stopped while its selector byte turns every system call into SIGSYS: no call but its own does.
// needs: syscall_dispatch
#include "journey.h"
#include <pthread.h>
#include <sys/prctl.h>
#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif

enum { ALLOW, BLOCK };
static volatile char selector = ALLOW;
static volatile int caught, n_caught, armed, go, failed;

static void on_sigsys(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    selector = ALLOW;
    caught = info->si_syscall;
    n_caught++;
}

// Computes without any call, as an emulated program does.
static void *body(void *arg)
{
    (void)arg;
    if (prctl(PR_SET_SYSCALL_USER_DISPATCH, 1, 0, 0, &selector)) {
        failed = errno;
        return NULL;
    }
    selector = BLOCK;
    armed = 1;
    while (!go)
        __builtin_ia32_pause();
    CHECK_EQUAL(n_caught, 0);
    CHECK_EQUAL(selector, BLOCK);
    syscall(SYS_getpriority, 0, 0);
    return NULL;
}

int main(void)
{
    struct sigaction action = { .sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO }, now;
    pthread_t thread;
    MUST(sigaction(SIGSYS, &action, NULL));
    CHECK_EQUAL(pthread_create(&thread, NULL, body, NULL), 0);
    while (!armed && !failed)
        doze(1);
    if (failed)
        skip("no system call user dispatch: %s", strerror(failed));

    ready();

    MUST(sigaction(SIGSYS, NULL, &now));
    CHECK(now.sa_sigaction == on_sigsys, "the handler of SIGSYS is lost");
    go = 1;
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    CHECK_EQUAL(n_caught, 1);
    CHECK_EQUAL(caught, SYS_getpriority);
    pass();
}
