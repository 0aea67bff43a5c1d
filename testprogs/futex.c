// Checks processes blocked on futexes in shared memory, with and without a time limit: each is woken properly, and
// short limits still run out.
#include "kick.h"
#include <linux/futex.h>

static int *words;

static void interrupted(void)
{
    struct timespec hour = { 3600, 0 };
    CHECK_KICKED(syscall(SYS_futex, &words[0], FUTEX_WAIT, 0, &hour, NULL, 0));
}

static void short_ones(void)
{
    struct timespec rest = { 0, 40000000 };
    while (!kicked) {
        long result = syscall(SYS_futex, &words[1], FUTEX_WAIT, 0, &rest, NULL, 0);
        CHECK(kicked || (result == -1 && errno == ETIMEDOUT), "a short wait: %ld, %s", result, strerror(errno));
    }
}

// Waits for a wake-up; without EINTR, but as POSIX lets a futex wake for nothing, the word decides.
static pid_t waiter(int i, const struct timespec *limit, int operation)
{
    pid_t pid = MUST(fork());
    if (pid == 0) {
        while (__atomic_load_n(&words[i], __ATOMIC_SEQ_CST) == 0) {
            long result = syscall(SYS_futex, &words[i], operation, 0, limit, NULL, FUTEX_BITSET_MATCH_ANY);
            CHECK(result == 0 || errno == EAGAIN, "waiter %d: %s", i, strerror(errno));
        }
        _exit(0);
    }
    wait_until_in_call(pid, SYS_futex);
    return pid;
}

int main(void)
{
    struct timespec hour = { 3600, 0 }, then;
    words = MUST(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    MUST(clock_gettime(CLOCK_MONOTONIC, &then));
    then.tv_sec += 3600;
    pid_t pid[5] = {
        blocked_child(interrupted, SYS_futex),
        blocked_child(short_ones, SYS_futex),
        waiter(2, NULL, FUTEX_WAIT),
        waiter(3, &hour, FUTEX_WAIT),
        waiter(4, &then, FUTEX_WAIT_BITSET),
    };

    ready();

    for (int i = 2; i < 5; i++) {
        __atomic_store_n(&words[i], 1, __ATOMIC_SEQ_CST);
        MUST(syscall(SYS_futex, &words[i], FUTEX_WAKE, 1, NULL, NULL, 0));
    }
    for (int i = 0; i < 5; i++)
        REAP(pid[i]);
    pass();
}
