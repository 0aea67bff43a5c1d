// Checks POSIX record locks: ranges, read and write, owned by process; a child and its parent hold parts of one file.
#include "journey.h"

static int fd;

static void lock(short type, off_t start, off_t length)
{
    struct flock range = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length };
    MUST(fcntl(fd, F_SETLK, &range));
}

// Asks who would refuse a write lock of one byte.
static struct flock ask(off_t at)
{
    struct flock range = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };
    MUST(fcntl(fd, F_GETLK, &range));
    return range;
}

int main(void)
{
    struct gate gate = gate_new();
    pid_t parent = getpid();
    fd = MUST(open("file", O_RDWR | O_CREAT, 0600));
    lock(F_WRLCK, 0, 100);
    lock(F_RDLCK, 200, 100);
    lock(F_WRLCK, 5000, 0);
    lock(F_UNLCK, 40, 20);
    pid_t pid = MUST(fork());
    if (pid == 0) {
        lock(F_WRLCK, 1000, 10);
        lock(F_RDLCK, 250, 10);
        gate_arrive(&gate);
        wait_for_go();
        struct flock range = ask(0);
        CHECK(range.l_type == F_WRLCK && range.l_start == 0 && range.l_len == 40, "the first lock is lost");
        CHECK(pids_are_new() || range.l_pid == parent, "the owner is %d", range.l_pid);
        CHECK_EQUAL(ask(50).l_type, F_UNLCK);
        CHECK_EQUAL(ask(99).l_type, F_WRLCK);
        CHECK_EQUAL(ask(100).l_type, F_UNLCK);
        CHECK_EQUAL(ask(220).l_type, F_RDLCK);
        range = ask(1000000);
        CHECK(range.l_type == F_WRLCK && range.l_start == 5000 && range.l_len == 0, "the open-ended lock is lost");
        CHECK_EQUAL(ask(1005).l_type, F_UNLCK);
        while (access("checked", F_OK))
            doze(5);
        _exit(0);
    }
    gate_collect(&gate, 1);

    ready();

    CHECK_EQUAL(ask(1009).l_type, F_WRLCK);
    CHECK_EQUAL(ask(1010).l_type, F_UNLCK);
    CHECK_EQUAL(ask(255).l_type, F_RDLCK);
    CHECK_EQUAL(ask(0).l_type, F_UNLCK);
    if (!pids_are_new())
        CHECK_EQUAL(ask(1000).l_pid, pid);
    MUST(close(MUST(open("checked", O_WRONLY | O_CREAT, 0600))));
    REAP(pid);
    CHECK_EQUAL(ask(1000).l_type, F_UNLCK);
    pass();
}
