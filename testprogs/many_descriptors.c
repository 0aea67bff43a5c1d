// Checks five thousand descriptors of a hundred files, each with an offset of its own.
#include "journey.h"
#include <sys/resource.h>

enum { N = 5000, FILES = 100 };

int main(void)
{
    static int fd[N];
    struct rlimit limit;
    char name[32];
    MUST(getrlimit(RLIMIT_NOFILE, &limit));
    if (limit.rlim_max < N + 100)
        skip("no more than %lu descriptors", (unsigned long)limit.rlim_max);
    limit.rlim_cur = limit.rlim_max;
    MUST(setrlimit(RLIMIT_NOFILE, &limit));
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "file.%d", i % FILES);
        fd[i] = MUST(open(name, O_RDWR | O_CREAT, 0600));
        if (i < FILES)
            CHECK_EQUAL(write(fd[i], &i, sizeof i), sizeof i);
        MUST(lseek(fd[i], i, SEEK_SET));
    }

    ready();

    for (int i = 0; i < N; i++) {
        int number;
        CHECK_EQUAL(lseek(fd[i], 0, SEEK_CUR), i);
        CHECK_EQUAL(pread(fd[i], &number, sizeof number, 0), sizeof number);
        CHECK_EQUAL(number, i % FILES);
    }
    pass();
}
