// Checks /proc/self/exe: the link, and that the program can run itself by it.
#include "journey.h"

int main(int argc, char **argv)
{
    char before[4096] = "", now[4096] = "";
    if (argc == 2)
        _exit(42);
    MUST(readlink("/proc/self/exe", before, sizeof before - 1));

    ready();

    int status;
    MUST(readlink("/proc/self/exe", now, sizeof now - 1));
    CHECK_TEXT(now, before);
    pid_t pid = MUST(fork());
    if (pid == 0) {
        execl("/proc/self/exe", argv[0], "child", (char *)NULL);
        _exit(1);
    }
    MUST(waitpid(pid, &status, 0));
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42, "the program run again ended with %#x", status);
    pass();
}
