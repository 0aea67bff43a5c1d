// Checks a process that must not notice anything: registers and vector registers of a loop, sleeps that return 0, a pipe.
// With `filter` it runs under a seccomp filter that kills it for every call but the few it makes.
#include "seccomp.h"
#include <pthread.h>

// Without restart_syscall a sleeping thread would not survive any stop, not even ^Z; see seccomp_sleep.
static const long ALLOWED[] = {
    SYS_restart_syscall, SYS_read, SYS_write, SYS_openat, SYS_close, SYS_access, SYS_faccessat2, SYS_nanosleep, SYS_clock_nanosleep, SYS_exit_group,
};
enum { N = sizeof ALLOWED / sizeof *ALLOWED };

static int end[2];
static volatile int arrived;

// A thread that the filter finds at its start would die of it.
static void arrive(void)
{
    __atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST);
}

static void install(void)
{
    struct sock_filter code[N + 3];
    int at = 0;
    code[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int i = 0; i < N; i++)
        code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)ALLOWED[i], N - i, 0);
    code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = { (unsigned short)at, code };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program))
        skip("no seccomp filters");
}

// Sums 0..n-1 in integer and vector registers at the same time; they must agree.
static void *compute(void *arg)
{
    (void)arg;
    arrive();
    for (;;) {
        uint64_t sum = 0;
        double vector[4] = { 0 };
        for (unsigned i = 0; i < 200000; i++) {
            sum += i & 1023;
            vector[i & 3] += i & 1023;
        }
        double total = vector[0] + vector[1] + vector[2] + vector[3];
        CHECK(total == (double)sum, "%f differs from %llu", total, (unsigned long long)sum);
    }
    return NULL;
}

static void *doze_well(void *arg)
{
    struct timespec t = { 0, 3000000 };
    (void)arg;
    arrive();
    for (;;)
        CHECK_EQUAL(syscall(SYS_nanosleep, &t, NULL), 0);
    return NULL;
}

static void *send_numbers(void *arg)
{
    (void)arg;
    arrive();
    for (uint32_t i = 0;; i++) {
        CHECK_EQUAL(write(end[1], &i, sizeof i), sizeof i);
        if (i % 64 == 0)
            doze(1);
    }
    return NULL;
}

static void *take_numbers(void *arg)
{
    uint32_t number;
    (void)arg;
    arrive();
    for (uint32_t i = 0;; i++) {
        CHECK_EQUAL(read(end[0], &number, sizeof number), sizeof number);
        CHECK_EQUAL(number, i);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    void *(*body[])(void *) = { compute, doze_well, send_numbers, take_numbers };
    MUST(pipe(end));
    for (int i = 0; i < 4; i++) {
        pthread_t thread;
        CHECK_EQUAL(pthread_create(&thread, NULL, body[i], NULL), 0);
    }
    while (arrived < 4)
        doze(1);
    if (argc > 1 && !strcmp(argv[1], "filter"))
        install();
    ready();
    doze(20);
    pass();
}
