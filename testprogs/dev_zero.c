// Checks mappings of /dev/zero: private ones are private memory, shared ones are shared with a child.
#include "journey.h"

int main(void)
{
    int fd = MUST(open("/dev/zero", O_RDWR));
    char *private = MUST(mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    char *shared = MUST(mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    close(fd);
    fill(private, 4 * PAGE, 16);
    fill(shared, 4 * PAGE, 17);
    pid_t pid = MUST(fork());
    if (pid == 0) {
        wait_for_go();
        CHECK_FILLED(private, 4 * PAGE, 16);
        CHECK_FILLED(shared, 4 * PAGE, 17);
        private[6 * PAGE] = shared[6 * PAGE] = 6;
        _exit(0);
    }

    ready();

    REAP(pid);
    CHECK_FILLED(private, 4 * PAGE, 16);
    CHECK_FILLED(shared, 4 * PAGE, 17);
    CHECK_EQUAL(private[6 * PAGE], 0);
    CHECK_EQUAL(shared[6 * PAGE], 6);
    CHECK_EQUAL(private[7 * PAGE] | shared[7 * PAGE], 0);
    pass();
}
