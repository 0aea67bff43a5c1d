// Checks four thousand record locks of one file: of the process and of a description in turn, as a second process sees them.
#include "journey.h"

enum { N = 4000 };

int main(void)
{
    int mine = MUST(open("file", O_RDWR | O_CREAT, 0600)), ofd = MUST(open("file", O_RDWR));
    for (int i = 0; i < N; i++) {
        struct flock lock = { .l_type = i % 3 ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET, .l_start = 10 * i, .l_len = 5 };
        MUST(fcntl(i % 2 ? ofd : mine, i % 2 ? F_OFD_SETLK : F_SETLK, &lock));
    }

    ready();

    pid_t child = MUST(fork());
    if (child == 0) {
        int fd = MUST(open("file", O_RDWR));
        for (int i = 0; i < N; i++) {
            struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10 * i, .l_len = 10 };
            MUST(fcntl(fd, F_GETLK, &lock));
            CHECK_EQUAL(lock.l_type, i % 3 ? F_WRLCK : F_RDLCK);
            CHECK_EQUAL(lock.l_start, 10 * i);
            CHECK_EQUAL(lock.l_len, 5);
        }
        _exit(0);
    }
    REAP(child);
    pass();
}
