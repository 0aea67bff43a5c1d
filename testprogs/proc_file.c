// Checks open files of /proc: a process's own directory and status file still speak of it.
#include "journey.h"

int main(void)
{
    char path[64], text[4096], wanted[32], *at;
    snprintf(path, sizeof path, "/proc/%d", getpid());
    int dir = MUST(open(path, O_RDONLY | O_DIRECTORY)), status = MUST(open("/proc/self/status", O_RDONLY));
    int version = MUST(open("/proc/version", O_RDONLY));

    ready();

    snprintf(wanted, sizeof wanted, "\nPid:\t%d\n", getpid());
    ssize_t n = pread(status, text, sizeof text - 1, 0);
    CHECK(n > 0, "status: %s", strerror(errno));
    text[n] = 0;
    at = strstr(text, "\nPid:");
    CHECK(at && !strncmp(at, wanted, strlen(wanted)), "the status file is another process's: %.20s", at ? at + 1 : "");
    int stat = openat(dir, "stat", O_RDONLY);
    CHECK(stat >= 0, "the directory is of a process that is gone: %s", strerror(errno));
    n = read(stat, text, sizeof text - 1);
    CHECK(n > 0 && atoi(text) == getpid(), "the directory is another process's: %.20s", text);
    CHECK(read(version, text, 5) == 5 && !memcmp(text, "Linux", 5), "/proc/version is lost");
    pass();
}
