// Checks descriptor numbers with holes between them, up to one near the limit.
#include "journey.h"
#include <sys/resource.h>

int main(void)
{
    struct rlimit limit;
    int numbers[] = { 3, 9, 63, 64, 255, 256, 1000, 1023, 0 }, back[2];
    enum { N = sizeof numbers / sizeof *numbers };
    // The harness may have left some open.
    MUST(syscall(SYS_close_range, 3, ~0U, 0));
    MUST(getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = limit.rlim_max;
    MUST(setrlimit(RLIMIT_NOFILE, &limit));
    numbers[N - 1] = limit.rlim_cur < 19001 ? (int)limit.rlim_cur - 1 : 19000;
    int fd = MUST(open("file", O_RDWR | O_CREAT, 0600));
    for (int i = 0; i < N; i++) {
        if (numbers[i] != fd)
            MUST(dup2(fd, numbers[i]));
    }
    CHECK_EQUAL(fd, 3);
    CHECK_EQUAL(write(fd, "contents", 8), 8);

    ready();

    for (int i = 3; i <= numbers[N - 1]; i++) {
        int wanted = 0;
        for (int k = 0; k < N; k++)
            wanted |= numbers[k] == i;
        CHECK((fcntl(i, F_GETFD) >= 0) == wanted, "descriptor %d is %s", i, wanted ? "closed" : "open");
    }
    CHECK_EQUAL(pread(numbers[N - 1], back, 8, 0), 8);
    CHECK(!memcmp(back, "contents", 8), "the contents differ");
    // The lowest free number is the one that the kernel gives.
    CHECK_EQUAL(dup(0), 4);
    pass();
}
