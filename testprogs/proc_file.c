// Checks files and directories of the job's own processes in /proc: of the process itself, of a child and of a thread; open for
// reading, writing and as a place only; as a working directory.
#include "journey.h"
#include <pthread.h>
#include <sys/prctl.h>

static int tid_pipe[2];

static void *sleeper(void *unused)
{
    (void)unused;
    pid_t tid = (pid_t)syscall(SYS_gettid);
    MUST(prctl(PR_SET_NAME, "sleeper"));
    MUST(write(tid_pipe[1], &tid, sizeof tid));
    for (;;)
        pause();
}

// The number after a word in a file of /proc that is open.
static long number(int fd, const char *word)
{
    char text[4096] = "";
    MUST(lseek(fd, 0, SEEK_SET));
    MUST(read(fd, text, sizeof text - 1));
    char *found = strstr(text, word);
    CHECK(found, "no %s in %s", word, text);
    return atol(found + strlen(word));
}

static int open_in(int directory, const char *name, int flags)
{
    return MUST(openat(directory, name, flags));
}

int main(void)
{
    char path[64], text[16] = "", rest[16] = "";
    pid_t tid;
    pthread_t thread;
    MUST(pipe(tid_pipe));
    CHECK_EQUAL(pthread_create(&thread, NULL, sleeper, NULL), 0);
    CHECK_EQUAL(MUST(read(tid_pipe[0], &tid, sizeof tid)), (ssize_t)sizeof tid);
    int go[2];
    MUST(pipe(go));
    struct gate gate = gate_new();
    pid_t child = MUST(fork());
    if (child == 0) {
        MUST(chdir("/proc/self/task"));
        MUST(close(go[1]));
        gate_arrive(&gate);
        // The file that everybody waits for is not here.
        CHECK_EQUAL(MUST(read(go[0], rest, 1)), 0);
        snprintf(path, sizeof path, "%d", getpid());
        MUST(access(path, F_OK));
        _exit(0);
    }
    gate_collect(&gate, 1);

    int status = MUST(open("/proc/self/status", O_RDONLY)), self = MUST(open("/proc/self", O_RDONLY | O_DIRECTORY));
    int comm = MUST(open("/proc/self/comm", O_RDWR)), place = MUST(open("/proc/self/task", O_PATH));
    int mem = MUST(open("/proc/self/mem", O_RDWR));
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", tid);
    int name = MUST(open(path, O_RDONLY));
    snprintf(path, sizeof path, "/proc/%d/status", child);
    int of_child = MUST(open(path, O_RDONLY));
    snprintf(path, sizeof path, "/proc/%d", child);
    int directory = MUST(open(path, O_RDONLY | O_DIRECTORY));
    CHECK_EQUAL(MUST(read(name, text, 3)), 3);

    ready();

    CHECK_EQUAL(number(status, "\nPid:"), (long)getpid());
    CHECK_EQUAL(number(of_child, "\nPPid:"), (long)getpid());
    int again = open_in(self, "status", O_RDONLY);
    CHECK_EQUAL(number(again, "\nPid:"), (long)getpid());
    int again_of_child = open_in(directory, "status", O_RDONLY);
    CHECK_EQUAL(number(again_of_child, "\nPid:"), number(of_child, "\nPid:"));
    MUST(write(comm, "renamed", 7));
    MUST(prctl(PR_GET_NAME, rest));
    CHECK_EQUAL(strcmp(rest, "renamed"), 0);
    snprintf(path, sizeof path, "%d", getpid());
    MUST(faccessat(place, path, F_OK, 0));
    CHECK_EQUAL(MUST(lseek(name, 0, SEEK_CUR)), 3);
    CHECK_EQUAL(MUST(pread(name, rest, 8, 0)), 8);
    CHECK_EQUAL(memcmp(rest, "sleeper\n", 8), 0);
    int here = 0, wanted = 12345;
    CHECK_EQUAL(MUST(pwrite(mem, &wanted, sizeof wanted, (off_t)(uintptr_t)&here)), (ssize_t)sizeof wanted);
    CHECK_EQUAL(*(volatile int *)&here, 12345);
    MUST(close(go[1]));
    REAP(child);
    pass();
}
