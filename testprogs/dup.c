// Checks which descriptors share an offset: by dup, by fork, across a tree; and which do not, though the file is one.
#include "journey.h"

static struct gate gate;

int main(void)
{
    int one = MUST(open("file", O_RDWR | O_CREAT, 0600));
    int two = MUST(open("file", O_RDWR));
    char data[1000];
    fill(data, sizeof data, 8);
    CHECK_EQUAL(write(one, data, sizeof data), sizeof data);
    int one_again = MUST(fcntl(one, F_DUPFD_CLOEXEC, 50));
    int from_child = MUST(open("file", O_RDONLY));
    MUST(lseek(one, 100, SEEK_SET));
    MUST(lseek(two, 200, SEEK_SET));
    MUST(lseek(from_child, 300, SEEK_SET));
    gate = gate_new();
    int done[2];
    MUST(pipe(done));
    pid_t pid = MUST(fork());
    if (pid == 0) {
        gate_arrive(&gate);
        char byte;
        // The child moves the offset that the parent looks at, and the other way round.
        CHECK_EQUAL(read(done[0], &byte, 1), 1);
        CHECK_EQUAL(lseek(one, 0, SEEK_CUR), 500);
        CHECK_EQUAL(lseek(from_child, 10, SEEK_CUR), 310);
        CHECK_EQUAL(lseek(two, 0, SEEK_CUR), 200);
        _exit(0);
    }
    gate_collect(&gate, 1);

    ready();

    CHECK_EQUAL(lseek(one_again, 400, SEEK_CUR), 500);
    CHECK_EQUAL(lseek(one, 0, SEEK_CUR), 500);
    CHECK_EQUAL(lseek(two, 0, SEEK_CUR), 200);
    CHECK_EQUAL(fcntl(one_again, F_GETFD), FD_CLOEXEC);
    CHECK_EQUAL(fcntl(one, F_GETFD), 0);
    // Status flags belong to what is shared as well.
    MUST(fcntl(one, F_SETFL, O_NONBLOCK));
    CHECK(fcntl(one_again, F_GETFL) & O_NONBLOCK, "the duplicate has flags of its own");
    CHECK(!(fcntl(two, F_GETFL) & O_NONBLOCK), "the separate one has flags of the other");
    CHECK_EQUAL(write(done[1], "x", 1), 1);
    REAP(pid);
    CHECK_EQUAL(lseek(from_child, 0, SEEK_CUR), 310);
    pass();
}
