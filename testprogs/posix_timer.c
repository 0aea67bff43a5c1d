// Checks POSIX timers: ids with gaps, clocks, intervals, remaining times, and the notification of each kind.
#include "journey.h"

// The kernel's own calls: libc hides the ids.
static int create(clockid_t clock, int notify, int signal, intptr_t value, pid_t tid)
{
    int id;
    struct sigevent event = { .sigev_notify = notify, .sigev_signo = signal, .sigev_value.sival_ptr = (void *)value };
    event._sigev_un._tid = tid;
    MUST(syscall(SYS_timer_create, clock, &event, &id));
    return id;
}

static void set(int id, int flags, long seconds, long nanoseconds, long interval)
{
    struct itimerspec spec = { { interval, interval ? 5000 : 0 }, { seconds, nanoseconds } };
    MUST(syscall(SYS_timer_settime, id, flags, &spec, NULL));
}

int main(void)
{
    enum { N = 6 };
    int id[N], holes[3];
    sigset_t blocked;
    struct timespec now;
    struct itimerspec spec;
    sigemptyset(&blocked);
    for (int i = 0; i < N; i++)
        sigaddset(&blocked, SIGRTMIN + i);
    MUST(sigprocmask(SIG_BLOCK, &blocked, NULL));
    for (int i = 0; i < 3; i++)
        holes[i] = create(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0, 0);
    id[0] = create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN, 1000, 0);
    id[1] = create(CLOCK_REALTIME, SIGEV_SIGNAL, SIGRTMIN + 1, 1001, 0);
    MUST(syscall(SYS_timer_delete, holes[1]));
    id[2] = create(CLOCK_BOOTTIME, SIGEV_THREAD_ID, SIGRTMIN + 2, 1002, own_tid());
    id[3] = create(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0, 0);
    id[4] = create(CLOCK_PROCESS_CPUTIME_ID, SIGEV_SIGNAL, SIGRTMIN + 4, 1004, 0);
    id[5] = create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN + 5, 1005, 0);
    MUST(syscall(SYS_timer_delete, holes[0]));
    MUST(syscall(SYS_timer_delete, holes[2]));
    set(id[0], 0, 3600, 0, 60);
    MUST(clock_gettime(CLOCK_REALTIME, &now));
    set(id[1], TIMER_ABSTIME, now.tv_sec + 3600, 0, 0);
    set(id[2], 0, 3600, 0, 0);
    set(id[3], 0, 3600, 0, 9);
    set(id[4], 0, 3600, 0, 0);
    // id[5] stays disarmed.

    ready();

    for (int i = 0; i < N; i++) {
        memset(&spec, 0, sizeof spec);
        MUST(syscall(SYS_timer_gettime, id[i], &spec));
        if (i == 5)
            CHECK_EQUAL(spec.it_value.tv_sec + spec.it_value.tv_nsec, 0);
        else
            CHECK(spec.it_value.tv_sec > 1800 && spec.it_value.tv_sec <= 3600, "timer %d has %ld s left", i,
                  (long)spec.it_value.tv_sec);
        CHECK_EQUAL(spec.it_interval.tv_sec, i == 0 ? 60 : i == 3 ? 9 : 0);
        CHECK_EQUAL(spec.it_interval.tv_nsec, i == 0 || i == 3 ? 5000 : 0);
    }
    for (int i = 0; i < 3; i++)
        CHECK(syscall(SYS_timer_gettime, holes[i], &spec) == -1 && errno == EINVAL, "deleted timer %d is back", holes[i]);
    // Each still notifies as it did.
    for (int i = 0; i < N; i++) {
        set(id[i], 0, 0, 1000, 0);
        if (i == 3)
            continue;
        sigset_t one;
        siginfo_t info;
        sigemptyset(&one);
        sigaddset(&one, SIGRTMIN + i);
        while (i == 4 && sigpending(&blocked) == 0 && !sigismember(&blocked, SIGRTMIN + 4))
            ;
        int signal;
        do
            signal = sigwaitinfo(&one, &info);
        while (signal < 0 && errno == EINTR);
        CHECK_EQUAL(signal, SIGRTMIN + i);
        CHECK_EQUAL(info.si_code, SI_TIMER);
        CHECK_EQUAL((intptr_t)info.si_value.sival_ptr, 1000 + i);
        CHECK_EQUAL(info.si_timerid, id[i]);
    }
    // A new timer gets an id that is free.
    int fresh = create(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0, 0);
    for (int i = 0; i < N; i++)
        CHECK(fresh != id[i], "the id %d was given twice", fresh);
    pass();
}
