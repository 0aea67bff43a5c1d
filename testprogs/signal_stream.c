// Checks that signals which arrive all the time arrive once each, in order, with value, code and sender, in threads that
// spin, sleep, read and wait in sigsuspend, and that no thread's signal mask changes.
//
// Without arguments a child sends them. `signal_stream alone` only receives; `signal_stream send PID` sends to it from outside.
#include "journey.h"
#include <pthread.h>
#include <sys/syscall.h>

enum { N = 4 };

static struct stream {
    pid_t tid;
    volatile int expected, sender, bad;
    uint64_t mask;
} streams[N];
static int pipe_end[2];

static uint64_t mask_of(pid_t tid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/status", tid);
    return strtoull(field(path, "SigBlk:"), NULL, 16);
}

static void receive(int signal, siginfo_t *info, void *context)
{
    struct stream *stream = &streams[signal - SIGRTMIN];
    (void)context;
    if (info->si_value.sival_int == 0)
        stream->sender = info->si_pid;
    if (info->si_value.sival_int != stream->expected || info->si_code != SI_QUEUE || info->si_pid != stream->sender)
        stream->bad++;
    stream->expected = info->si_value.sival_int + 1;
}

static void *receiver(void *arg)
{
    int index = (int)(intptr_t)arg;
    sigset_t blocked, meanwhile;
    // Each thread has a mask of its own, and takes one stream.
    sigfillset(&blocked);
    sigdelset(&blocked, SIGRTMIN + index);
    sigdelset(&blocked, SIGHUP + index);
    meanwhile = blocked;
    if (index == 1)
        sigaddset(&blocked, SIGRTMIN + index);
    pthread_sigmask(SIG_SETMASK, &blocked, NULL);
    streams[index].tid = own_tid();
    for (;;) {
        char byte;
        if (index == 0)
            for (volatile int i = 0; i < 10000; i++) { }
        else if (index == 1)
            sigsuspend(&meanwhile);
        else if (index == 2)
            CHECK(read(pipe_end[0], &byte, 1) < 0 && errno == EINTR, "an empty pipe was read");
        else
            doze(1000);
    }
}

__attribute__((noreturn)) static void sender(pid_t pid, const int *tids)
{
    for (int number = 0;; number++) {
        for (int i = 0; i < N; i++) {
            siginfo_t info = { .si_signo = SIGRTMIN + i, .si_code = SI_QUEUE, .si_pid = getpid(), .si_uid = getuid() };
            info.si_value.sival_int = number;
            while (syscall(SYS_rt_tgsigqueueinfo, pid, tids[i], SIGRTMIN + i, &info) < 0) {
                if (errno != EAGAIN)
                    _exit(0);
                doze(1);
            }
        }
        struct timespec t = { 0, number % 8 ? 1000 : 300000 };
        nanosleep(&t, NULL);
    }
}

int main(int argc, char **argv)
{
    int tids[N];
    if (argc == 3) {
        // The threads' ids follow that of the process: they are its first ones.
        pid_t pid = (pid_t)atoi(argv[2]);
        char path[64], text[256];
        snprintf(path, sizeof path, "/proc/%d/cwd/tids", pid);
        CHECK(slurp(path, text, sizeof text) > 0, "cannot read %s", path);
        CHECK(sscanf(text, "%d %d %d %d", &tids[0], &tids[1], &tids[2], &tids[3]) == N, "%s holds %s", path, text);
        sender(pid, tids);
    }
    MUST(pipe(pipe_end));
    for (int i = 0; i < N; i++) {
        // The stream to the reader goes with SA_RESTART: it reads on for ever.
        struct sigaction action = { .sa_sigaction = receive, .sa_flags = SA_SIGINFO | (i == 2 ? SA_RESTART : 0) };
        sigfillset(&action.sa_mask);
        MUST(sigaction(SIGRTMIN + i, &action, NULL));
    }
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    for (int i = 0; i < N; i++) {
        pthread_t thread;
        CHECK_EQUAL(pthread_create(&thread, NULL, receiver, (void *)(intptr_t)i), 0);
        while (!*(volatile pid_t *)&streams[i].tid)
            doze(1);
        tids[i] = streams[i].tid;
    }
    doze(20);
    for (int i = 0; i < N; i++)
        // In sigsuspend the mask alternates.
        streams[i].mask = i == 1 ? 0 : mask_of(tids[i]);
    FILE *file = fopen("tids", "we");
    CHECK(file && fprintf(file, "%d %d %d %d\n", tids[0], tids[1], tids[2], tids[3]) > 0, "cannot write the thread ids");
    fclose(file);
    pid_t child = 0;
    if (argc == 1 && (child = MUST(fork())) == 0)
        sender(getppid(), tids);

    ready();

    if (child) {
        for (int i = 0; i < N; i++)
            for (int before = streams[i].expected; streams[i].expected <= before + 10;)
                doze(1);
        MUST(kill(child, SIGKILL));
        MUST(waitpid(child, NULL, 0));
    }
    doze(20);
    for (int i = 0; i < N; i++) {
        CHECK(streams[i].bad == 0, "stream %d: %d of %d signals were wrong", i, streams[i].bad, streams[i].expected);
        CHECK(streams[i].expected > 0, "stream %d has brought nothing", i);
        // Signals may still arrive: in the handler all are blocked.
        for (int tries = 0; i != 1 && mask_of(tids[i]) != streams[i].mask && tries < 10000; tries++)
            doze(1);
        CHECK(i == 1 || mask_of(tids[i]) == streams[i].mask, "the mask of thread %d is %#llx, was %#llx", i,
            (unsigned long long)mask_of(tids[i]), (unsigned long long)streams[i].mask);
    }
    pass();
}
