// Checks the vdso: the clock, the processor number and the time work through libc, and agree with the system calls.
#include "journey.h"
#include <sched.h>
#include <sys/auxv.h>
#include <sys/time.h>

// Three readings, the middle one by the system call: time may not go backwards between them.
static void look(clockid_t clock)
{
    struct timespec t[3];
    MUST(clock_gettime(clock, &t[0]));
    MUST(syscall(SYS_clock_gettime, clock, &t[1]));
    MUST(clock_gettime(clock, &t[2]));
    for (int i = 0; i < 2; i++)
        CHECK(t[i].tv_sec < t[i + 1].tv_sec || (t[i].tv_sec == t[i + 1].tv_sec && t[i].tv_nsec <= t[i + 1].tv_nsec),
              "clock %d goes backwards: %ld.%09ld, %ld.%09ld", clock, t[i].tv_sec, t[i].tv_nsec, t[i + 1].tv_sec,
              t[i + 1].tv_nsec);
    CHECK(t[2].tv_sec - t[0].tv_sec < 3600, "clock %d disagrees with its system call", clock);
}

int main(void)
{
    struct timespec monotonic, after;
    struct timeval tv;
    look(CLOCK_MONOTONIC);
    unsigned long at = getauxval(AT_SYSINFO_EHDR);
    MUST(clock_gettime(CLOCK_MONOTONIC, &monotonic));

    ready();

    look(CLOCK_MONOTONIC);
    look(CLOCK_REALTIME);
    look(CLOCK_BOOTTIME);
    MUST(clock_gettime(CLOCK_MONOTONIC, &after));
    CHECK(after.tv_sec >= monotonic.tv_sec, "the monotonic clock went from %ld to %ld", monotonic.tv_sec, after.tv_sec);
    MUST(gettimeofday(&tv, NULL));
    CHECK(sched_getcpu() >= 0, "no processor number");
    if (at) {
        char head[256];
        CHECK(smaps_line((void *)at, "", head, sizeof head), "nothing is mapped at the vdso's address");
        CHECK(strstr(head, "[vdso]"), "at the vdso's address is %s", head);
    }
    pass();
}
