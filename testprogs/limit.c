// Checks all resource limits, soft and hard, with values that hinder whoever does not expect them.
#include "journey.h"
#include <sys/resource.h>

int main(void)
{
    static const struct {
        int which;
        rlim_t soft;
    } wanted[] = {
        { RLIMIT_AS, 1UL << 40 },  { RLIMIT_CORE, 4096 },    { RLIMIT_CPU, 100000 },      { RLIMIT_DATA, 1UL << 35 },
        { RLIMIT_FSIZE, 65536 },   { RLIMIT_LOCKS, 77 },     { RLIMIT_MEMLOCK, 8192 },    { RLIMIT_MSGQUEUE, 10000 },
        { RLIMIT_NICE, 0 },        { RLIMIT_NOFILE, 40 },    { RLIMIT_NPROC, 9000 },      { RLIMIT_RSS, 1UL << 36 },
        { RLIMIT_RTPRIO, 0 },      { RLIMIT_RTTIME, 1000000 }, { RLIMIT_SIGPENDING, 500 }, { RLIMIT_STACK, 2 << 20 },
    };
    enum { N = sizeof wanted / sizeof *wanted };
    struct rlimit before[N], now;
    for (int i = 0; i < N; i++) {
        MUST(getrlimit(wanted[i].which, &now));
        now.rlim_cur = wanted[i].soft < now.rlim_max ? wanted[i].soft : now.rlim_max;
        // Every other hard limit is lowered too.
        if (i % 2 && now.rlim_max > now.rlim_cur * 2)
            now.rlim_max = now.rlim_cur * 2;
        MUST(setrlimit(wanted[i].which, &now));
        MUST(getrlimit(wanted[i].which, &before[i]));
    }

    ready();

    for (int i = 0; i < N; i++) {
        MUST(getrlimit(wanted[i].which, &now));
        CHECK(now.rlim_cur == before[i].rlim_cur, "soft limit %d is %llu", wanted[i].which, (unsigned long long)now.rlim_cur);
        CHECK(now.rlim_max == before[i].rlim_max, "hard limit %d is %llu", wanted[i].which, (unsigned long long)now.rlim_max);
    }
    pass();
}
