// Checks a system call that the kernel restarts after a handler (SA_RESTART): a read that signals interrupt before
// and afterwards.
#include "kick.h"

static int end[2];

// Interrupts the read, and lets it end only after that.
static void *kick_and_write(void *arg)
{
    kicker(arg);
    while (!kicked)
        doze(1);
    CHECK_EQUAL(write(end[1], "x", 1), 1);
    return NULL;
}

int main(void)
{
    MUST(pipe(end));
    pid_t pid = MUST(fork());
    if (pid == 0) {
        pthread_t thread;
        char byte;
        struct sigaction action = { .sa_handler = on_kick, .sa_flags = SA_RESTART };
        MUST(sigaction(SIGUSR1, &action, NULL));
        CHECK_EQUAL(pthread_create(&thread, NULL, kick_and_write, NULL), 0);
        ssize_t n = read(end[0], &byte, 1);
        CHECK(n == 1, "read returned %zd: %s", n, strerror(errno));
        CHECK(kicked, "the read ended before the signal");
        CHECK_EQUAL(pthread_join(thread, NULL), 0);
        _exit(0);
    }
    wait_until_in_call(pid, SYS_read);
    MUST(kill(pid, SIGWINCH));

    ready();

    REAP(pid);
    pass();
}
