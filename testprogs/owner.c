// Checks who gets SIGIO for a descriptor: F_SETOWN, F_SETOWN_EX with a thread, a process and a group, and F_SETSIG.
// restart: --restore-pgid --restore-sid
#include "journey.h"

int main(void)
{
    int fd[4][2];
    struct f_owner_ex thread = { F_OWNER_TID, own_tid() }, group = { F_OWNER_PGRP, 0 }, now;
    MUST(setpgid(0, 0));
    group.pid = getpgrp();
    for (int i = 0; i < 4; i++)
        MUST(pipe(fd[i]));
    MUST(fcntl(fd[0][0], F_SETOWN, getpid()));
    MUST(fcntl(fd[1][0], F_SETOWN_EX, &thread));
    MUST(fcntl(fd[1][0], F_SETSIG, SIGRTMIN + 1));
    MUST(fcntl(fd[2][0], F_SETOWN_EX, &group));
    MUST(fcntl(fd[2][1], F_SETSIG, SIGUSR2));

    ready();

    CHECK_EQUAL(fcntl(fd[0][0], F_GETOWN), getpid());
    CHECK_EQUAL(fcntl(fd[0][0], F_GETSIG), 0);
    MUST(fcntl(fd[1][0], F_GETOWN_EX, &now));
    CHECK_EQUAL(now.type, F_OWNER_TID);
    CHECK_EQUAL(now.pid, own_tid());
    CHECK_EQUAL(fcntl(fd[1][0], F_GETSIG), SIGRTMIN + 1);
    MUST(fcntl(fd[2][0], F_GETOWN_EX, &now));
    CHECK_EQUAL(now.type, F_OWNER_PGRP);
    if (!pids_are_new())
        CHECK_EQUAL(now.pid, getpgrp());
    CHECK_EQUAL(fcntl(fd[2][1], F_GETSIG), SIGUSR2);
    CHECK_EQUAL(fcntl(fd[3][0], F_GETOWN), 0);
    pass();
}
