// What every test program shares: the protocol with the harness, checks, and a few readers of /proc.
//
// A program makes its state, calls ready(), and after that returns verifies the state and calls pass().
// Between READY and the appearance of the file `go` it may have been checkpointed, killed and restarted, any number
// of times. Paths are relative, because the working directory may be another one afterwards.
#ifndef JOURNEY_H
#define JOURNEY_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HELPER __attribute__((unused)) static
#define PAGE ((size_t)4096)
#define MIB ((size_t)1 << 20)

// ---- Verdicts ----

// One write per line: several processes append to the same file. The descriptor is a variable because some programs
// use descriptor 1 for something else.
static int verdict_fd = 1;

__attribute__((noreturn, format(printf, 3, 4)))
HELPER void fail_at(const char *file, int line, const char *format, ...)
{
    char text[1024];
    const char *slash = strrchr(file, '/');
    int used = snprintf(text, sizeof text, "FAIL %s:%d: ", slash ? slash + 1 : file, line);
    va_list args;
    va_start(args, format);
    vsnprintf(text + used, sizeof text - used - 2, format, args);
    va_end(args);
    strcat(text, "\n");
    if (write(verdict_fd, text, strlen(text)) < 0)
        _exit(2);
    _exit(1);
}

// CHECK(a == b, "offset is %d, was %d", a, b)
#define CHECK(condition, ...) \
    do { \
        if (!(condition)) \
            fail_at(__FILE__, __LINE__, __VA_ARGS__); \
    } while (0)

// The value of a call that must not return -1 (or MAP_FAILED).
#define MUST(call) \
    ({ \
        __typeof__(call) result_ = (call); \
        if (result_ == (__typeof__(call))-1) \
            fail_at(__FILE__, __LINE__, "%s: %s", #call, strerror(errno)); \
        result_; \
    })

#define CHECK_EQUAL(now, before) \
    do { \
        long long now_ = (long long)(now), before_ = (long long)(before); \
        if (now_ != before_) \
            fail_at(__FILE__, __LINE__, "%s is %lld, expected %lld", #now, now_, before_); \
    } while (0)

#define CHECK_TEXT(now, before) \
    do { \
        const char *now_ = (now), *before_ = (before); \
        if (strcmp(now_, before_)) \
            fail_at(__FILE__, __LINE__, "%s is \"%.300s\", expected \"%.300s\"", #now, now_, before_); \
    } while (0)

// The machine cannot run this program: say why, and that is no failure. Only before ready().
__attribute__((noreturn, format(printf, 1, 2)))
HELPER void skip(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("SKIP ");
    vprintf(format, args);
    printf("\n");
    fflush(stdout);
    _exit(0);
}

__attribute__((noreturn)) HELPER void pass(void)
{
    if (write(verdict_fd, "PASS\n", 5) < 0)
        _exit(2);
    _exit(0);
}

// ---- The journey ----

static char journey_word[32];

HELPER void doze(long milliseconds)
{
    struct timespec t = { milliseconds / 1000, milliseconds % 1000 * 1000000 };
    nanosleep(&t, NULL);
}

// Every process of a test may wait for itself; nothing needs to connect them meanwhile.
HELPER void wait_for_go(void)
{
    while (access("go", F_OK))
        doze(10);
    // The file may exist before its word is in it.
    for (;;) {
        // Many threads may wait: none may see a word that another is still cutting.
        char word[sizeof journey_word] = "";
        int fd = open("go", O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? 0 : read(fd, word, sizeof word - 1);
        if (fd >= 0)
            close(fd);
        if (n > 0) {
            word[strcspn(word, " \n")] = 0;
            strcpy(journey_word, word);
            return;
        }
        doze(10);
    }
}

HELPER void ready(void)
{
    if (write(verdict_fd, "READY\n", 6) < 0)
        _exit(2);
    wait_for_go();
}

HELPER const char *journey(void)
{
    return journey_word;
}

HELPER int pids_are_new(void)
{
    return !strcmp(journey_word, "new-pids");
}

// ---- Processes ----

// Tells a parent that its children are set up. It is gone before READY, so that it is no part of what is tested.
struct gate {
    int fd[2];
};

HELPER struct gate gate_new(void)
{
    struct gate gate;
    MUST(pipe(gate.fd));
    return gate;
}

HELPER void gate_arrive(struct gate *gate)
{
    MUST(write(gate->fd[1], "x", 1));
    close(gate->fd[0]);
    close(gate->fd[1]);
}

HELPER void gate_collect(struct gate *gate, int n)
{
    char byte;
    close(gate->fd[1]);
    for (int i = 0; i < n; i++)
        CHECK(read(gate->fd[0], &byte, 1) == 1, "only %d of %d children arrived", i, n);
    close(gate->fd[0]);
}

HELPER pid_t spawn(void (*body)(void *), void *arg)
{
    pid_t pid = MUST(fork());
    if (pid == 0) {
        body(arg);
        _exit(0);
    }
    return pid;
}

// Waits for a child and demands success of it. With new pids the saved number means nothing: any child will do.
#define REAP(pid) \
    do { \
        int status_; \
        pid_t got_ = waitpid(pids_are_new() ? -1 : (pid), &status_, __WALL); \
        CHECK(got_ > 0, "waitpid(%d): %s", (int)(pid), strerror(errno)); \
        CHECK(status_ == 0, "child %d ended with status %#x", (int)got_, status_); \
    } while (0)

// ---- Pseudo-random contents ----

HELPER uint64_t scramble(uint64_t x)
{
    x += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

HELPER void fill(void *memory, size_t length, uint64_t seed)
{
    unsigned char *at = memory;
    for (size_t i = 0; i < length; i += 8) {
        uint64_t word = scramble(seed + i);
        memcpy(at + i, &word, length - i < 8 ? length - i : 8);
    }
}

// The offset of the first byte that fill() did not put there, or -1.
HELPER ssize_t differs(const void *memory, size_t length, uint64_t seed)
{
    const unsigned char *at = memory;
    for (size_t i = 0; i < length; i += 8) {
        uint64_t word = scramble(seed + i);
        if (memcmp(at + i, &word, length - i < 8 ? length - i : 8))
            return (ssize_t)i;
    }
    return -1;
}

#define CHECK_FILLED(memory, length, seed) \
    do { \
        ssize_t at_ = differs(memory, length, seed); \
        CHECK(at_ < 0, "%s differs at offset %zd of %zu", #memory, at_, (size_t)(length)); \
    } while (0)

// ---- /proc ----

// Reads a whole file as text; the length, or -1.
HELPER ssize_t slurp(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t used = 0;
    ssize_t n;
    if (fd < 0)
        return -1;
    while (used < size - 1 && (n = read(fd, text + used, size - 1 - used)) > 0)
        used += n;
    close(fd);
    text[used] = 0;
    return (ssize_t)used;
}

// The value of a line "Key:  value" of a status-like file, in a buffer that the next call reuses.
HELPER const char *field(const char *path, const char *key)
{
    static __thread char text[16384];
    size_t length = strlen(key);
    CHECK(slurp(path, text, sizeof text) > 0, "cannot read %s", path);
    for (char *line = text; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
        if (!strncmp(line, key, length)) {
            line += length;
            line += strspn(line, " \t");
            line[strcspn(line, "\n")] = 0;
            return line;
        }
    fail_at(__FILE__, __LINE__, "%s has no %s", path, key);
}

// Field n (counted from 1, as in proc(5)) of /proc/PID/stat; the name in parentheses may hold anything.
HELPER unsigned long long stat_field(pid_t pid, int n)
{
    char path[64], text[2048];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    CHECK(slurp(path, text, sizeof text) > 0, "cannot read %s", path);
    char *at = strrchr(text, ')') + 2;
    if (n == 3)
        return (unsigned char)*at;
    for (int i = 3; i < n; i++)
        at = strchr(at, ' ') + 1;
    return strtoull(at, NULL, 10);
}

// The text after `key` of the area that holds `address`, in /proc/self/smaps. With key "" the head line itself.
HELPER int smaps_line(const void *address, const char *key, char *value, size_t size)
{
    char line[4096];
    int here = 0, found = 0;
    unsigned long lo, hi, want = (unsigned long)address;
    FILE *smaps = fopen("/proc/self/smaps", "re");
    CHECK(smaps, "cannot open /proc/self/smaps");
    while (!found && fgets(line, sizeof line, smaps)) {
        int head = strchr(line, '-') && line[0] >= '0' && sscanf(line, "%lx-%lx ", &lo, &hi) == 2;
        if (head)
            here = lo <= want && want < hi;
        if (here && (*key ? !head && !strncmp(line, key, strlen(key)) : head)) {
            char *text = line + strlen(key);
            text[strcspn(text, "\n")] = 0;
            snprintf(value, size, "%s", text + strspn(text, " \t"));
            found = 1;
        }
    }
    fclose(smaps);
    return found;
}

// Whether an area has a two-letter flag of smaps' VmFlags line, such as "lo".
HELPER int has_vm_flag(const void *address, const char *flag)
{
    char flags[256], padded[260], wanted[8];
    CHECK(smaps_line(address, "VmFlags:", flags, sizeof flags), "no area at %p", address);
    snprintf(padded, sizeof padded, " %s ", flags);
    snprintf(wanted, sizeof wanted, " %s ", flag);
    return strstr(padded, wanted) != NULL;
}

// Waits until a task is inside a system call, so that READY is not printed before the call blocks.
HELPER void wait_until_in_call(pid_t tid, long number)
{
    char path[64], text[256];
    snprintf(path, sizeof path, "/proc/%d/syscall", tid);
    for (;;) {
        if (slurp(path, text, sizeof text) > 0 && text[0] >= '0' && text[0] <= '9' && strtol(text, NULL, 10) == number)
            return;
        doze(2);
    }
}

HELPER pid_t own_tid(void)
{
    return (pid_t)syscall(SYS_gettid);
}

// glibc's raise() and pthread_kill() use a thread id it remembers, which is wrong after a restart with new pids.
HELPER void signal_self(int signal)
{
    MUST(syscall(SYS_tgkill, getpid(), own_tid(), signal));
}

#endif
