// Checks memfds: name, contents, size, offset, seals, mappings shared and private, and sharing with a child.
#include "journey.h"

int main(void)
{
    size_t size = 10 * PAGE + 10;
    char link[200] = "";
    int fd = MUST(memfd_create("some name", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    int unsealed = MUST(memfd_create("", 0));
    MUST(ftruncate(fd, (off_t)size));
    char *shared = MUST(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    char *private = MUST(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, PAGE));
    fill(shared, size, 15);
    MUST(lseek(fd, 321, SEEK_SET));
    private[5] = 5;
    MUST(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
    CHECK_EQUAL(write(unsealed, "x", 1), 1);
    pid_t pid = MUST(fork());
    if (pid == 0) {
        wait_for_go();
        shared[9 * PAGE] = 9;
        _exit(0);
    }

    ready();

    REAP(pid);
    CHECK_EQUAL(shared[9 * PAGE], 9);
    CHECK_FILLED(shared, 9 * PAGE, 15);
    CHECK_EQUAL(private[5], 5);
    CHECK_FILLED(private + PAGE, 7 * PAGE, 15 + 2 * PAGE);
    CHECK_EQUAL(lseek(fd, 0, SEEK_CUR), 321);
    CHECK_EQUAL(lseek(fd, 0, SEEK_END), size);
    CHECK_EQUAL(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW);
    CHECK(ftruncate(fd, 5) == -1 && errno == EPERM, "the sealed file shrinks");
    CHECK_EQUAL(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQUAL(fcntl(unsealed, F_GET_SEALS), F_SEAL_SEAL);
    CHECK_EQUAL(pwrite(fd, "y", 1, 3), 1);
    CHECK_EQUAL(shared[3], 'y');
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    MUST(readlink(path, link, sizeof link - 1));
    CHECK_TEXT(link, "/memfd:some name (deleted)");
    pass();
}
