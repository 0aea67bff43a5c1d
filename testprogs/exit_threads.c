// Checks a process whose threads end it the moment they run: somebody sees its end, whatever its other threads do.
//
// `exit_threads N [child]`: N threads; with `child` they are those of a child, whose end the first process waits for.
// They do nothing but look for `go`.
#include "journey.h"
#include <pthread.h>

static volatile int arrived, ending;

static void *body(void *is_first)
{
    struct timespec moment = { 0, 2000000 };
    if (!is_first)
        __atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST);
    while (access("go", F_OK))
        nanosleep(&moment, NULL);
    if (!__atomic_fetch_add(&ending, 1, __ATOMIC_SEQ_CST))
        _exit(42);
    for (;;)
        doze(1000);
}

static void become_threads(int n)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 32768);
    for (int i = 1; i < n; i++) {
        pthread_t thread;
        CHECK_EQUAL(pthread_create(&thread, &attr, body, NULL), 0);
    }
    while (arrived < n - 1)
        doze(1);
    if (write(1, "READY\n", 6) < 0)
        _exit(2);
    body((void *)1);
}

int main(int argc, char **argv)
{
    int status, n = argc > 1 ? atoi(argv[1]) : 50;
    // In the table it is its own parent: there it must end with 0, and say PASS.
    if (argc == 2)
        become_threads(n);
    pid_t pid = MUST(fork());
    if (pid == 0)
        become_threads(n);
    MUST(waitpid(-1, &status, 0));
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42, "the child ended with %#x", status);
    pass();
}
