// Checks alarm(): an hour-long one still has its time, a short one set afterwards goes off.
#include "journey.h"

static volatile sig_atomic_t count;

static void note(int signal)
{
    (void)signal;
    count++;
}

int main(void)
{
    signal(SIGALRM, note);
    alarm(3600);
    pid_t pid = MUST(fork());
    if (pid == 0) {
        // A child does not inherit it, and does not get one by a restart.
        wait_for_go();
        CHECK_EQUAL(alarm(0), 0);
        _exit(0);
    }

    ready();

    REAP(pid);
    CHECK_EQUAL(count, 0);
    unsigned left = alarm(1);
    CHECK(left > 1800 && left <= 3600, "%u seconds were left", left);
    while (!count)
        doze(20);
    pass();
}
