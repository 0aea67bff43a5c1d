// Checks mapped files that have been deleted: private and shared mappings, with no descriptor left.
#include "journey.h"

int main(void)
{
    size_t size = 50 * PAGE;
    char *data = malloc(size);
    int fd = MUST(open("doomed", O_RDWR | O_CREAT, 0600));
    fill(data, size, 18);
    CHECK_EQUAL(write(fd, data, size), size);
    char *private = MUST(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    char *shared = MUST(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    close(fd);
    MUST(unlink("doomed"));
    private[0] ^= 1;
    shared[PAGE] ^= 1;
    pid_t pid = MUST(fork());
    if (pid == 0) {
        wait_for_go();
        shared[3 * PAGE] = 33;
        _exit(0);
    }

    ready();

    REAP(pid);
    CHECK_EQUAL(private[0], (char)(data[0] ^ 1));
    CHECK(!memcmp(private + 1, data + 1, PAGE - 1), "the private dirty page differs");
    CHECK(!memcmp(private + 4 * PAGE, data + 4 * PAGE, 46 * PAGE), "private clean pages differ");
    CHECK(!memcmp(shared, data, PAGE), "the first shared page differs");
    CHECK_EQUAL(shared[PAGE], (char)(data[PAGE] ^ 1));
    CHECK_EQUAL(shared[3 * PAGE], 33);
    CHECK(!memcmp(shared + 4 * PAGE, data + 4 * PAGE, 46 * PAGE), "shared pages differ");
    pass();
}
