// Checks processes blocked in the calls that the kernel never restarts after a stop (signal(7)): a signal with a handler
// interrupts them, even one with SA_RESTART, and nothing else does.
#include "kick.h"
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/sem.h>

static struct timespec hour = { 3600, 0 };
static sigset_t none, usr2;

static int new_epoll(void)
{
    return MUST(epoll_create1(EPOLL_CLOEXEC));
}

static void in_epoll_wait(void)
{
    struct epoll_event event;
    CHECK_KICKED(syscall(SYS_epoll_wait, new_epoll(), &event, 1, -1));
}

static void in_epoll_pwait(void)
{
    struct epoll_event event;
    CHECK_KICKED(syscall(SYS_epoll_pwait, new_epoll(), &event, 1, 3600000, &none, 8L));
}

static void in_epoll_pwait2(void)
{
    struct epoll_event event;
    CHECK_KICKED(syscall(SYS_epoll_pwait2, new_epoll(), &event, 1, &hour, &none, 8L));
}

static void in_semaphore(long number)
{
    int id = MUST(semget(IPC_PRIVATE, 1, IPC_CREAT | 0600));
    struct sembuf take = { 0, -1, 0 };
    long result = syscall(number, id, &take, 1L, number == SYS_semtimedop ? &hour : NULL);
    int error = errno;
    semctl(id, 0, IPC_RMID);
    errno = error;
    CHECK_KICKED(result);
}

static void in_semop(void)
{
    in_semaphore(SYS_semop);
}

static void in_semtimedop(void)
{
    in_semaphore(SYS_semtimedop);
}

static void in_sigwaitinfo(void)
{
    CHECK_KICKED(syscall(SYS_rt_sigtimedwait, &usr2, NULL, NULL, 8L));
}

static void in_sigtimedwait(void)
{
    CHECK_KICKED(syscall(SYS_rt_sigtimedwait, &usr2, NULL, &hour, 8L));
}

int main(void)
{
    sigemptyset(&none);
    sigemptyset(&usr2);
    sigaddset(&usr2, SIGUSR2);
    MUST(sigprocmask(SIG_BLOCK, &usr2, NULL));
    pid_t children[] = {
        blocked_child(in_epoll_wait, SYS_epoll_wait),
        blocked_child(in_epoll_pwait, SYS_epoll_pwait),
        blocked_child(in_epoll_pwait2, SYS_epoll_pwait2),
        blocked_child(in_semop, SYS_semop),
        blocked_child(in_semtimedop, SYS_semtimedop),
        blocked_child(in_sigwaitinfo, SYS_rt_sigtimedwait),
        blocked_child(in_sigtimedwait, SYS_rt_sigtimedwait),
    };

    ready();

    for (size_t i = 0; i < sizeof children / sizeof *children; i++)
        REAP(children[i]);
    pass();
}
