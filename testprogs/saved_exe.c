// Checks /proc/self/exe of a program whose file travels with the context file: its contents, and that the program can run itself by it.
#include "journey.h"

static ssize_t slurp_exe(char *bytes)
{
    int fd = MUST(open("/proc/self/exe", O_RDONLY));
    ssize_t n = MUST(read(fd, bytes, 4 * MIB));
    close(fd);
    return n;
}

int main(int argc, char **argv)
{
    static char before[4 * MIB], now[4 * MIB];
    int status;
    if (argc == 2)
        _exit(42);
    ssize_t n = slurp_exe(before);

    ready();

    CHECK_EQUAL(slurp_exe(now), n);
    CHECK(!memcmp(before, now, n), "/proc/self/exe has other contents");
    pid_t pid = MUST(fork());
    if (pid == 0) {
        execl("/proc/self/exe", argv[0], "child", (char *)NULL);
        _exit(1);
    }
    MUST(waitpid(pid, &status, 0));
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42, "the program run again ended with %#x", status);
    pass();
}
