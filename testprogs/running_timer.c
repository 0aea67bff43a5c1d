// Checks an interval timer that goes off all the time: it goes on to do so, and interrupts nothing that restarts.
#include "journey.h"
#include <sys/time.h>

static volatile sig_atomic_t count;

static void note(int signal)
{
    (void)signal;
    count++;
}

int main(void)
{
    struct sigaction action = { .sa_handler = note, .sa_flags = SA_RESTART };
    struct itimerval timer = { { 0, 2000 }, { 0, 2000 } };
    int end[2];
    MUST(sigaction(SIGALRM, &action, NULL));
    MUST(pipe(end));
    pid_t pid = MUST(fork());
    if (pid == 0) {
        wait_for_go();
        doze(20);
        CHECK_EQUAL(write(end[1], "x", 1), 1);
        _exit(0);
    }
    MUST(setitimer(ITIMER_REAL, &timer, NULL));

    ready();

    char byte;
    CHECK(read(end[0], &byte, 1) == 1, "read: %s", strerror(errno));
    int before = count;
    CHECK(before > 0, "the timer never went off");
    while (count < before + 20)
        doze(1);
    REAP(pid);
    pass();
}
