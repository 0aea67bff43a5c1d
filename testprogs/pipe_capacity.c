// Checks the capacity of pipes (F_SETPIPE_SZ): smaller and larger than usual, the larger one full of data.
#include "journey.h"

int main(void)
{
    int tiny[2], large[2];
    size_t size = MIB;
    char *data = malloc(size), *back = malloc(size);
    fill(data, size, 4);
    MUST(pipe(tiny));
    MUST(pipe(large));
    CHECK_EQUAL(MUST(fcntl(tiny[1], F_SETPIPE_SZ, 4096)), 4096);
    if (fcntl(large[0], F_SETPIPE_SZ, (int)size) < 0)
        skip("pipes may not hold 1 MiB here: %s", strerror(errno));
    CHECK_EQUAL(write(large[1], data, size), size);

    ready();

    CHECK_EQUAL(fcntl(tiny[0], F_GETPIPE_SZ), 4096);
    CHECK_EQUAL(fcntl(large[1], F_GETPIPE_SZ), size);
    MUST(fcntl(large[1], F_SETFL, O_NONBLOCK));
    CHECK(write(large[1], data, 1) == -1 && errno == EAGAIN, "the full pipe takes data");
    size_t got = 0;
    while (got < size) {
        ssize_t n = read(large[0], back + got, size - got);
        CHECK(n > 0, "only %zu bytes", got);
        got += n;
    }
    CHECK(!memcmp(data, back, size), "the data differs");
    pass();
}
