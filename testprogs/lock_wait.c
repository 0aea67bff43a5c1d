// Checks processes that wait for a lock which another holds: flock, and fcntl's POSIX and OFD locks.
#include "journey.h"
#include <sys/file.h>

int main(void)
{
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    int flocked = MUST(open("flocked", O_RDWR | O_CREAT, 0600));
    int posix = MUST(open("posix", O_RDWR | O_CREAT, 0600));
    int ofd = MUST(open("ofd", O_RDWR | O_CREAT, 0600));
    MUST(flock(flocked, LOCK_EX));
    MUST(fcntl(posix, F_SETLK, &whole));
    MUST(fcntl(ofd, F_OFD_SETLK, &whole));
    volatile int *got = MUST(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    pid_t pid[3];
    for (int i = 0; i < 3; i++) {
        pid[i] = MUST(fork());
        if (pid[i] == 0) {
            int mine = MUST(open(i == 0 ? "flocked" : i == 1 ? "posix" : "ofd", O_RDWR));
            int result = i == 0 ? flock(mine, LOCK_EX) : fcntl(mine, i == 1 ? F_SETLKW : F_OFD_SETLKW, &whole);
            CHECK(result == 0, "lock %d: %s", i, strerror(errno));
            got[i] = 1;
            _exit(0);
        }
        wait_until_in_call(pid[i], i == 0 ? SYS_flock : SYS_fcntl);
    }

    ready();

    doze(50);
    for (int i = 0; i < 3; i++)
        CHECK(!got[i], "lock %d was granted while it was held", i);
    MUST(flock(flocked, LOCK_UN));
    whole.l_type = F_UNLCK;
    MUST(fcntl(posix, F_SETLK, &whole));
    MUST(fcntl(ofd, F_OFD_SETLK, &whole));
    for (int i = 0; i < 3; i++)
        REAP(pid[i]);
    pass();
}
