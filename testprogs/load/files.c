// Many open files: `files N` opens N regular files of the working directory, each its own.
#include "load.h"

int main(int argc, char **argv)
{
    long n = count_of(argc, argv, "N");
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = limit.rlim_max;
    MUST(setrlimit(RLIMIT_NOFILE, &limit));
    for (long i = 0; i < n; i++) {
        char name[32];
        snprintf(name, sizeof name, "file.%ld", i);
        int fd = MUST(open(name, O_RDWR | O_CREAT, 0644));
        MUST(write(fd, name, strlen(name)));
    }
    ready();
}
