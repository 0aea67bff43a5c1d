// Checks locks of open file descriptions (F_OFD_SETLK): ranges and types, and that a child shares them.
#include "journey.h"

static int lock(int fd, short type, off_t start, off_t length)
{
    struct flock range = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length };
    return fcntl(fd, F_OFD_SETLK, &range);
}

int main(void)
{
    int one = MUST(open("file", O_RDWR | O_CREAT, 0600)), two = MUST(open("file", O_RDWR));
    MUST(lock(one, F_WRLCK, 0, 10));
    MUST(lock(one, F_RDLCK, 100, 10));
    MUST(lock(two, F_RDLCK, 100, 10));
    MUST(lock(two, F_WRLCK, 500, 0));
    pid_t pid = MUST(fork());
    if (pid == 0) {
        wait_for_go();
        MUST(lock(one, F_WRLCK, 0, 10));
        CHECK(lock(two, F_WRLCK, 5, 1) == -1 && errno == EAGAIN, "the first lock is lost");
        _exit(0);
    }

    ready();

    REAP(pid);
    CHECK(lock(two, F_RDLCK, 9, 1) == -1 && errno == EAGAIN, "the write lock is lost");
    MUST(lock(two, F_WRLCK, 10, 1));
    CHECK(lock(one, F_WRLCK, 100, 1) == -1 && errno == EAGAIN, "the second read lock is lost");
    CHECK(lock(two, F_WRLCK, 100, 1) == -1 && errno == EAGAIN, "the first read lock is lost");
    CHECK(lock(one, F_RDLCK, 99999, 1) == -1 && errno == EAGAIN, "the open-ended lock is lost");
    pass();
}
