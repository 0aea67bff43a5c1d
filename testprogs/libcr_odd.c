// Checks callbacks in odd places: threads that end in critical sections and in callbacks, forks in callbacks, blocked and replaced signals, sections in handlers,
// children that come and go, forwarding.
// build: -lcr
#include "journey.h"
#include <libcr.h>
#include <pthread.h>

static cr_client_id_t client;
static volatile int called, forked, forward_result = -2, forward_errno;
static pid_t outsider, family;

static int forking(void *arg)
{
    (void)arg;
    called++;
    pid_t pid = MUST(fork());
    if (pid == 0)
        // A child is no part of the request.
        _exit(cr_checkpoint(CR_CHECKPOINT_READY) == -CR_ENOTCB ? 0 : 1);
    int status;
    MUST(waitpid(pid, &status, 0));
    CHECK_EQUAL(status, 0);
    forked++;
    CHECK(cr_checkpoint(CR_CHECKPOINT_READY) >= 0, "a child in a callback disturbs the parent");
    return 0;
}

static int forwarding(void *arg)
{
    (void)arg;
    CHECK(cr_forward_checkpoint(CR_SCOPE_PROC, 0x3ffffff) == -1 && errno == ESRCH, "forwarded to nobody: %d", errno);
    CHECK(cr_forward_checkpoint(CR_SCOPE_PROC, 1) == -1 && errno == EPERM, "forwarded to init: %d", errno);
    CHECK(cr_forward_checkpoint(7, 1) == -1 && errno == EINVAL, "forwarded to a strange scope: %d", errno);
    // Overlap is fine.
    CHECK(cr_forward_checkpoint(CR_SCOPE_PROC, 0) == 0, "forwarded to oneself: %d", errno);
    cr_checkpoint(CR_CHECKPOINT_READY);
    CHECK(cr_forward_checkpoint(CR_SCOPE_PROC, 0) == -1 && errno == CR_ENOTCB, "forwarded too late");
    return 0;
}

static int in_signal(void *arg)
{
    (*(volatile int *)arg)++;
    return 0;
}

static volatile int leaving, in_blocked, in_thread;

// A thread that is in and out of sections, and so is its handler.
static void handler(int signal)
{
    (void)signal;
    if (cr_tryenter_cs(client) == 0)
        cr_leave_cs(client);
}

static void *busy(void *stop)
{
    cr_client_id_t id = MUST(cr_init());
    MUST(cr_register_callback(in_signal, (void *)&in_thread, CR_SIGNAL_CONTEXT));
    while (!*(volatile int *)stop) {
        cr_enter_cs(id);
        raise(SIGUSR1);
        cr_leave_cs(id);
    }
    return NULL;
}

// Ends in its critical section, with a callback.
static void *careless(void *arg)
{
    cr_client_id_t id = MUST(cr_init());
    MUST(cr_register_callback(in_signal, arg, CR_SIGNAL_CONTEXT));
    cr_enter_cs(id);
    return NULL;
}

static void *spawner(void *stop)
{
    while (!*(volatile int *)stop) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, careless, (void *)&leaving) == 0)
            pthread_join(thread, NULL);
        doze(1);
    }
    return NULL;
}

// Blocks every signal, but lets libcr know when it passes by.
static void *blocked(void *stop)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    cr_client_id_t id = MUST(cr_init());
    MUST(cr_register_callback(in_signal, (void *)&in_blocked, CR_SIGNAL_CONTEXT));
    while (!*(volatile int *)stop) {
        cr_enter_cs(id);
        cr_leave_cs(id);
        doze(1);
    }
    return NULL;
}

int main(void)
{
    volatile int stop = 0;
    pthread_t threads[3];
    void *(*bodies[])(void *) = { busy, spawner, blocked };
    (void)outsider, (void)family, (void)forward_result, (void)forward_errno;
    client = MUST(cr_init());
    MUST(cr_register_callback(forking, NULL, CR_THREAD_CONTEXT));
    MUST(cr_register_callback(forwarding, NULL, CR_THREAD_CONTEXT));
    signal(SIGUSR1, handler);
    for (int i = 0; i < 3; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, bodies[i], (void *)&stop), 0);
    doze(20);

    ready();

    stop = 1;
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    int lives = !strcmp(journey(), "stay") ? 0 : !strcmp(journey(), "again") ? 2 : 1;
    CHECK_EQUAL(called, lives);
    CHECK_EQUAL(forked, lives);
    CHECK_EQUAL(in_thread, lives);
    CHECK_EQUAL(in_blocked, lives);
    CHECK_EQUAL(cr_status(), CR_STATE_IDLE);
    pass();
}
