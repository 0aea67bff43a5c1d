// Checks O_ASYNC: data that arrives afterwards raises the chosen signal, with the descriptor in its siginfo.
#include "journey.h"

static volatile sig_atomic_t count, descriptor;

static void note(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    descriptor = info->si_fd;
    count++;
}

int main(void)
{
    int end[2], quiet[2];
    struct sigaction action = { .sa_sigaction = note, .sa_flags = SA_SIGINFO };
    struct f_owner_ex owner = { F_OWNER_PID, getpid() };
    MUST(sigaction(SIGRTMIN + 2, &action, NULL));
    MUST(pipe(end));
    MUST(pipe(quiet));
    for (int i = 0; i < 2; i++) {
        int fd = i ? quiet[0] : end[0];
        MUST(fcntl(fd, F_SETOWN_EX, &owner));
        MUST(fcntl(fd, F_SETSIG, SIGRTMIN + 2));
    }
    MUST(fcntl(end[0], F_SETFL, O_ASYNC));

    ready();

    CHECK_EQUAL(count, 0);
    CHECK(fcntl(end[0], F_GETFL) & O_ASYNC, "O_ASYNC is lost");
    CHECK(!(fcntl(quiet[0], F_GETFL) & O_ASYNC), "O_ASYNC has come to another descriptor");
    CHECK_EQUAL(write(quiet[1], "x", 1), 1);
    CHECK_EQUAL(count, 0);
    CHECK_EQUAL(write(end[1], "x", 1), 1);
    CHECK_EQUAL(count, 1);
    CHECK_EQUAL(descriptor, end[0]);
    pass();
}
