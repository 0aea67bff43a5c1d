// Checks POSIX shared memory: a file in /dev/shm whose name has been removed, mapped and open in two processes.
#include "journey.h"

int main(void)
{
    char name[50], byte;
    snprintf(name, sizeof name, "/reprise-test-%d", getpid());
    int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        skip("no /dev/shm: %s", strerror(errno));
    MUST(ftruncate(fd, 10 * PAGE));
    char *area = MUST(mmap(NULL, 10 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    // Without a name it is like most uses: two processes that inherit it.
    MUST(shm_unlink(name));
    fill(area, 5 * PAGE, 37);
    pid_t pid = MUST(fork());
    if (pid == 0) {
        wait_for_go();
        CHECK_FILLED(area, 5 * PAGE, 37);
        area[7 * PAGE] = 7;
        _exit(0);
    }

    ready();

    REAP(pid);
    CHECK_FILLED(area, 5 * PAGE, 37);
    CHECK_EQUAL(area[7 * PAGE], 7);
    CHECK_EQUAL(pread(fd, &byte, 1, 7 * PAGE), 1);
    CHECK_EQUAL(byte, 7);
    pass();
}
