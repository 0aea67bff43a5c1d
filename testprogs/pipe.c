// Checks pipes: data in flight, more writing afterwards, O_NONBLOCK of each end, a pipe that nobody has written to.
#include "journey.h"

int main(void)
{
    int with_data[2], empty[2], full[2];
    static char data[40000], back[1 << 17];
    fill(data, sizeof data, 3);
    MUST(pipe(with_data));
    MUST(pipe2(empty, O_NONBLOCK));
    MUST(pipe(full));
    CHECK_EQUAL(write(with_data[1], data, sizeof data), sizeof data);
    // Part of it is read, so that the data does not begin at the start of a page.
    CHECK_EQUAL(read(with_data[0], back, 1234), 1234);
    MUST(fcntl(full[1], F_SETFL, O_NONBLOCK));
    size_t held = 0;
    ssize_t n;
    while ((n = write(full[1], data, 1000)) > 0)
        held += n;
    // What is left of the last page takes single bytes only.
    while ((n = write(full[1], data + held % 1000, 1)) > 0)
        held++;
    CHECK(errno == EAGAIN, "filling: %s", strerror(errno));

    ready();

    CHECK_EQUAL(write(with_data[1], "tail", 4), 4);
    CHECK_EQUAL(read(with_data[0], back, sizeof back), sizeof data - 1234 + 4);
    CHECK(!memcmp(back, data + 1234, sizeof data - 1234), "the data in flight differs");
    CHECK(!memcmp(back + sizeof data - 1234, "tail", 4), "the tail differs");

    CHECK(fcntl(empty[0], F_GETFL) & O_NONBLOCK, "O_NONBLOCK is lost");
    CHECK(read(empty[0], back, 1) == -1 && errno == EAGAIN, "the empty pipe has data");
    CHECK_EQUAL(write(empty[1], "x", 1), 1);
    CHECK_EQUAL(read(empty[0], back, 9), 1);

    CHECK(!(fcntl(full[0], F_GETFL) & O_NONBLOCK), "O_NONBLOCK went to the other end");
    CHECK(write(full[1], data, 1) == -1 && errno == EAGAIN, "the full pipe takes data");
    size_t got = 0;
    while (got < held) {
        CHECK((n = read(full[0], back, sizeof back)) > 0, "only %zu of %zu bytes", got, held);
        for (ssize_t i = 0; i < n; i++)
            CHECK(back[i] == data[(got + i) % 1000], "byte %zu differs", got + i);
        got += n;
    }
    CHECK_EQUAL(got, held);
    pass();
}
