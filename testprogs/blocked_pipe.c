// Checks processes blocked in reading an empty pipe and in writing to a full one, the latter in the middle of a large
// write: nothing is lost or repeated, nobody sees EINTR.
#include "journey.h"
#include <sys/uio.h>

int main(void)
{
    size_t size = 300000;
    char *data = malloc(size), *back = malloc(size);
    int empty[2], full[2], vector[2];
    fill(data, size, 33);
    MUST(pipe(empty));
    MUST(pipe(full));
    MUST(pipe(vector));
    pid_t reader = MUST(fork());
    if (reader == 0) {
        ssize_t n = read(empty[0], back, 100);
        CHECK(n == 5, "read returned %zd: %s", n, strerror(errno));
        CHECK(!memcmp(back, "hello", 5), "the data differs");
        _exit(0);
    }
    pid_t writer = MUST(fork());
    if (writer == 0) {
        // A stop may end the write with what it has done so far, as signal(7) says; then the rest follows.
        for (size_t done = 0; done < size;) {
            ssize_t n = write(full[1], data + done, size - done);
            CHECK(n > 0, "write returned %zd: %s", n, strerror(errno));
            done += n;
        }
        _exit(0);
    }
    pid_t scatter = MUST(fork());
    if (scatter == 0) {
        struct iovec parts[2] = { { back, 2 }, { back + 10, 100 } };
        ssize_t n = readv(vector[0], parts, 2);
        CHECK(n == 5, "readv returned %zd: %s", n, strerror(errno));
        CHECK(!memcmp(back, "he", 2) && !memcmp(back + 10, "llo", 3), "the data differs");
        _exit(0);
    }
    wait_until_in_call(reader, SYS_read);
    wait_until_in_call(writer, SYS_write);
    wait_until_in_call(scatter, SYS_readv);
    doze(20);

    ready();

    CHECK_EQUAL(write(empty[1], "hello", 5), 5);
    CHECK_EQUAL(write(vector[1], "hello", 5), 5);
    for (size_t got = 0; got < size;) {
        ssize_t n = read(full[0], back + got, size - got);
        CHECK(n > 0, "read returned %zd: %s", n, strerror(errno));
        got += n;
    }
    CHECK_FILLED(back, size, 33);
    MUST(fcntl(full[0], F_SETFL, O_NONBLOCK));
    CHECK(read(full[0], back, 1) == -1 && errno == EAGAIN, "the pipe has more than was written");
    REAP(reader);
    REAP(writer);
    REAP(scatter);
    pass();
}
