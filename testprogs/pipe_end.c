// Checks pipes with one end closed: data and then end of file, EPIPE, and ends that only a child holds.
#include "journey.h"

int main(void)
{
    int no_writer[2], no_reader[2], to_child[2], from_child[2];
    char text[100];
    signal(SIGPIPE, SIG_IGN);
    MUST(pipe(no_writer));
    MUST(pipe(no_reader));
    MUST(pipe(to_child));
    MUST(pipe(from_child));
    CHECK_EQUAL(write(no_writer[1], "remainder", 9), 9);
    close(no_writer[1]);
    close(no_reader[0]);
    pid_t pid = MUST(fork());
    if (pid == 0) {
        close(no_writer[0]);
        close(no_reader[1]);
        close(to_child[1]);
        close(from_child[0]);
        CHECK_EQUAL(read(to_child[0], text, sizeof text), 5);
        CHECK_EQUAL(read(to_child[0], text, sizeof text), 0);
        CHECK_EQUAL(write(from_child[1], text, 5), 5);
        _exit(0);
    }
    close(to_child[0]);
    close(from_child[1]);
    wait_until_in_call(pid, SYS_read);

    ready();

    CHECK_EQUAL(read(no_writer[0], text, sizeof text), 9);
    CHECK(!memcmp(text, "remainder", 9), "the remainder differs");
    CHECK_EQUAL(read(no_writer[0], text, sizeof text), 0);
    CHECK(write(no_reader[1], "x", 1) == -1 && errno == EPIPE, "the pipe has a reader");
    CHECK_EQUAL(write(to_child[1], "hello", 5), 5);
    close(to_child[1]);
    CHECK_EQUAL(read(from_child[0], text, sizeof text), 5);
    CHECK_EQUAL(read(from_child[0], text, sizeof text), 0);
    REAP(pid);
    pass();
}
