// Checks flock locks, exclusive and shared: they belong to the open file, which a child shares.
#include "journey.h"
#include <sys/file.h>

static int refused(const char *path, int operation)
{
    int fd = MUST(open(path, O_RDWR));
    int result = flock(fd, operation | LOCK_NB);
    close(fd);
    return result == -1 && errno == EWOULDBLOCK;
}

int main(void)
{
    int exclusive = MUST(open("exclusive", O_RDWR | O_CREAT, 0600));
    int shared = MUST(open("shared", O_RDWR | O_CREAT, 0600)), shared_too = MUST(open("shared", O_RDONLY));
    int child_only = MUST(open("child", O_RDWR | O_CREAT, 0600));
    int released = MUST(open("released", O_RDWR | O_CREAT, 0600));
    MUST(flock(exclusive, LOCK_EX));
    MUST(flock(shared, LOCK_SH));
    MUST(flock(shared_too, LOCK_SH));
    MUST(flock(child_only, LOCK_EX));
    MUST(flock(released, LOCK_EX));
    MUST(flock(released, LOCK_UN));
    pid_t pid = MUST(fork());
    if (pid == 0) {
        wait_for_go();
        // The child holds what its parent locked.
        MUST(flock(exclusive, LOCK_EX | LOCK_NB));
        while (access("checked", F_OK))
            doze(5);
        MUST(flock(child_only, LOCK_UN));
        _exit(0);
    }
    close(child_only);

    ready();

    CHECK(refused("exclusive", LOCK_SH), "the exclusive lock is lost");
    CHECK(refused("shared", LOCK_EX), "the shared lock is lost");
    CHECK(!refused("shared", LOCK_SH), "the shared lock has become exclusive");
    CHECK(refused("child", LOCK_SH), "the lock that the child holds is lost");
    CHECK(!refused("released", LOCK_EX), "a released lock is back");
    MUST(close(MUST(open("checked", O_WRONLY | O_CREAT, 0600))));
    REAP(pid);
    CHECK(!refused("child", LOCK_EX), "the child's lock outlived it");
    CHECK(flock(shared, LOCK_EX | LOCK_NB) == -1, "the second shared lock is lost");
    MUST(flock(shared_too, LOCK_UN));
    MUST(flock(shared, LOCK_EX | LOCK_NB));
    pass();
}
