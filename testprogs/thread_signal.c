// Checks what each thread has for itself in signals: a mask, an alternate stack, and pending signals of its own.
#include "journey.h"
#include <pthread.h>

enum { N = 4 };
static volatile int arrived;
static char stacks[N][65536];
static __thread volatile sig_atomic_t seen;
static __thread volatile uintptr_t handler_frame;

static void note(int signal)
{
    char here;
    handler_frame = (uintptr_t)&here;
    seen = signal;
}

static void *body(void *arg)
{
    uintptr_t i = (uintptr_t)arg;
    stack_t stack = { .ss_sp = stacks[i], .ss_size = sizeof stacks[i] }, now;
    sigset_t mask, pending;
    MUST(sigaltstack(&stack, NULL));
    sigemptyset(&mask);
    sigaddset(&mask, SIGRTMIN + (int)i);
    pthread_sigmask(SIG_BLOCK, &mask, NULL);
    signal_self(SIGRTMIN + (int)i);
    __atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST);
    wait_for_go();
    MUST(sigaltstack(NULL, &now));
    CHECK(now.ss_sp == stack.ss_sp && now.ss_size == stack.ss_size, "thread %d has another alternate stack", (int)i);
    sigpending(&pending);
    for (int k = 0; k < N; k++)
        CHECK_EQUAL(sigismember(&pending, SIGRTMIN + k), k == (int)i);
    CHECK_EQUAL(seen, 0);
    pthread_sigmask(SIG_UNBLOCK, &mask, NULL);
    CHECK_EQUAL(seen, SIGRTMIN + (int)i);
    CHECK(handler_frame >= (uintptr_t)stacks[i] && handler_frame < (uintptr_t)stacks[i] + sizeof stacks[i],
          "the handler did not run on the alternate stack");
    return NULL;
}

int main(void)
{
    pthread_t thread[N];
    struct sigaction action = { .sa_handler = note, .sa_flags = SA_ONSTACK };
    for (int i = 0; i < N; i++)
        MUST(sigaction(SIGRTMIN + i, &action, NULL));
    for (uintptr_t i = 0; i < N; i++)
        CHECK_EQUAL(pthread_create(&thread[i], NULL, body, (void *)i), 0);
    while (arrived < N)
        doze(1);

    ready();

    for (int i = 0; i < N; i++)
        CHECK_EQUAL(pthread_join(thread[i], NULL), 0);
    pass();
}
