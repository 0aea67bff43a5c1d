// Checks a child made by vfork and exec: this program again, with other arguments and environment.
#include "journey.h"

int main(int argc, char **argv)
{
    if (argc == 3) {
        int fd = atoi(argv[1]);
        CHECK_EQUAL(write(fd, "x", 1), 1);
        close(fd);
        wait_for_go();
        CHECK_TEXT(argv[2], "second argument");
        CHECK(getenv("CHILD"), "the environment is lost");
        CHECK_TEXT(getenv("CHILD"), "yes");
        _exit(0);
    }
    struct gate gate = gate_new();
    char number[16];
    char *arguments[] = { argv[0], number, "second argument", NULL }, *environment[] = { "CHILD=yes", NULL };
    snprintf(number, sizeof number, "%d", gate.fd[1]);
    pid_t pid = vfork();
    if (pid == 0) {
        execve("/proc/self/exe", arguments, environment);
        _exit(127);
    }
    CHECK(pid > 0, "vfork: %s", strerror(errno));
    gate_collect(&gate, 1);

    ready();

    REAP(pid);
    pass();
}
