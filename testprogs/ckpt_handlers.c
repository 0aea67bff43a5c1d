// build: -lcpr
// Checks the handlers of libcpr: in the order of registration, before a checkpoint and after a restart, 32 at most; SIGCKPT is ignored by
// default, and a handler of the program's own takes its place.
#include "journey.h"
#include <ckpt.h>

static volatile int order, n_checkpoints, n_restarts, caught, alarms;

static void first(void)
{
    order = 1;
    n_checkpoints++;
}

static void second(void)
{
    order = order * 10 + 2;
}

static void again_first(void)
{
    order = order * 10 + 3;
    n_restarts++;
}

static void again_second(void)
{
    order = order * 10 + 4;
}

static void nothing(void)
{
}

static void on_alarm(int number)
{
    (void)number;
    alarms++;
}

// A handler that waits for something that never comes is ended by its alarm.
static void impatient(void)
{
    alarm(1);
    pause();
    alarm(0);
}

static void own(int number)
{
    caught += number == SIGCKPT;
}

int main(void)
{
    struct sigaction action;
    MUST(sigaction(SIGCKPT, NULL, &action));
    CHECK(action.sa_handler == SIG_IGN, "SIGCKPT is not ignored");
    MUST(sigaction(SIGRESTART, NULL, &action));
    CHECK(action.sa_handler == SIG_IGN, "SIGRESTART is not ignored");
    raise(SIGCKPT);
    raise(SIGRESTART);
    CHECK(signal(SIGALRM, on_alarm) != SIG_ERR, "signal");
    MUST(atcheckpoint(first));
    MUST(atcheckpoint(second));
    MUST(atcheckpoint(impatient));
    MUST(atrestart(again_first));
    MUST(atrestart(again_second));
    CHECK_EQUAL(ckpt_setup(NULL, 0), 0);
    CHECK(atcheckpoint(NULL) == -1 && errno == EINVAL, "no function: %s", strerror(errno));

    // A child has its parent's handlers, and its own count of them.
    pid_t child = MUST(fork());
    if (child == 0) {
        for (int i = 3; i < 32; i++)
            MUST(atcheckpoint(nothing));
        CHECK(atcheckpoint(nothing) == -1 && errno == ENOMEM, "the 33rd: %s", strerror(errno));
        CHECK(signal(SIGCKPT, own) != SIG_ERR, "signal");
        while (access("go", F_OK))
            doze(10);
        CHECK(caught >= n_restarts, "its own handler ran %d times, and %d restarts were there", caught, n_restarts);
        CHECK_EQUAL(n_checkpoints, 0);
        _exit(0);
    }

    ready();

    REAP(child);
    if (n_checkpoints > 0) {
        CHECK_EQUAL(alarms, n_checkpoints);
        CHECK(order % 10 == 2 || order % 100 == 34, "the order is %d", order);
    }
    if (strcmp(journey_word, "stay") && strcmp(journey_word, "continue")) {
        CHECK(n_restarts > 0, "no handler ran after the restart");
        CHECK(order % 10000 == 1234, "the order is %d", order);
    }
    pass();
}
