// Checks signalfds: the mask, signals pending before, and signals that come afterwards.
#include "journey.h"
#include <sys/signalfd.h>

int main(void)
{
    sigset_t mask, other;
    struct signalfd_siginfo info;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    sigaddset(&mask, SIGRTMIN + 5);
    sigemptyset(&other);
    sigaddset(&other, SIGUSR2);
    MUST(sigprocmask(SIG_BLOCK, &mask, NULL));
    MUST(sigprocmask(SIG_BLOCK, &other, NULL));
    int fd = MUST(signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC));
    int second = MUST(signalfd(-1, &other, SFD_NONBLOCK));
    MUST(sigqueue(getpid(), SIGRTMIN + 5, (union sigval){ .sival_int = 1234 }));

    ready();

    CHECK_EQUAL(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQUAL(read(fd, &info, sizeof info), sizeof info);
    CHECK_EQUAL(info.ssi_signo, SIGRTMIN + 5);
    CHECK_EQUAL(info.ssi_int, 1234);
    CHECK(read(fd, &info, sizeof info) == -1 && errno == EAGAIN, "a signal too many");
    MUST(kill(getpid(), SIGUSR2));
    CHECK(read(fd, &info, sizeof info) == -1 && errno == EAGAIN, "the mask has grown");
    CHECK_EQUAL(read(second, &info, sizeof info), sizeof info);
    CHECK_EQUAL(info.ssi_signo, SIGUSR2);
    MUST(kill(getpid(), SIGUSR1));
    CHECK_EQUAL(read(fd, &info, sizeof info), sizeof info);
    CHECK_EQUAL(info.ssi_signo, SIGUSR1);
    pass();
}
