// Checks system call user dispatch: a thread's selector byte still decides whether its system calls raise SIGSYS.
// needs: syscall_dispatch
#include "journey.h"
#include <sys/prctl.h>
#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif

enum { ALLOW, BLOCK };
static volatile char selector = ALLOW;
static volatile int caught;

static void on_sigsys(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    selector = ALLOW;
    caught = info->si_syscall;
}

int main(void)
{
    struct sigaction action = { .sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO };
    MUST(sigaction(SIGSYS, &action, NULL));
    if (prctl(PR_SET_SYSCALL_USER_DISPATCH, 1, 0, 0, &selector))
        skip("no system call user dispatch: %s", strerror(errno));

    ready();

    selector = BLOCK;
    syscall(SYS_getpriority, 0, 0);
    CHECK_EQUAL(selector, ALLOW);
    CHECK_EQUAL(caught, SYS_getpriority);
    pass();
}
