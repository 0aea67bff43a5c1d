// Checks queued real-time signals: number, order and values, of the process and of a thread.
#include "journey.h"

enum { N = 100 };

int main(void)
{
    sigset_t blocked;
    siginfo_t info;
    sigemptyset(&blocked);
    for (int i = 0; i < 3; i++)
        sigaddset(&blocked, SIGRTMIN + i);
    MUST(sigprocmask(SIG_BLOCK, &blocked, NULL));
    for (int i = 0; i < N; i++)
        MUST(sigqueue(getpid(), SIGRTMIN + i % 2, (union sigval){ .sival_int = i }));
    // These are pending for the thread alone.
    for (int i = 0; i < N; i++) {
        siginfo_t mine = { .si_code = SI_QUEUE - 1000, .si_pid = getpid(), .si_uid = getuid() };
        mine.si_value.sival_ptr = (void *)(uintptr_t)(i + 0x123400000000);
        MUST(syscall(SYS_rt_tgsigqueueinfo, getpid(), own_tid(), SIGRTMIN + 2, &mine));
    }

    ready();

    struct timespec none = { 0, 0 };
    for (int kind = 0; kind < 2; kind++) {
        sigset_t one;
        sigemptyset(&one);
        sigaddset(&one, SIGRTMIN + kind);
        for (int i = kind; i < N; i += 2) {
            CHECK(sigtimedwait(&one, &info, &none) == SIGRTMIN + kind, "signal %d is missing", i);
            CHECK_EQUAL(info.si_value.sival_int, i);
            CHECK_EQUAL(info.si_code, SI_QUEUE);
        }
    }
    for (int i = 0; i < N; i++) {
        CHECK(sigtimedwait(&blocked, &info, &none) == SIGRTMIN + 2, "the thread's signal %d is missing", i);
        CHECK_EQUAL((uintptr_t)info.si_value.sival_ptr, i + 0x123400000000);
        CHECK_EQUAL(info.si_code, SI_QUEUE - 1000);
    }
    CHECK(sigtimedwait(&blocked, &info, &none) == -1 && errno == EAGAIN, "a signal too many");
    pass();
}
