// Checks character devices: null, zero, full, random and urandom.
#include "journey.h"

int main(void)
{
    char bytes[64];
    int null = MUST(open("/dev/null", O_RDWR));
    int zero = MUST(open("/dev/zero", O_RDONLY));
    int full = MUST(open("/dev/full", O_WRONLY | O_APPEND));
    int chance = MUST(open("/dev/random", O_RDONLY | O_NONBLOCK));
    int urandom = MUST(open("/dev/urandom", O_RDONLY | O_CLOEXEC));

    ready();

    CHECK_EQUAL(read(null, bytes, sizeof bytes), 0);
    CHECK_EQUAL(write(null, bytes, sizeof bytes), sizeof bytes);
    memset(bytes, 1, sizeof bytes);
    CHECK_EQUAL(read(zero, bytes, sizeof bytes), sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        CHECK_EQUAL(bytes[i], 0);
    CHECK(write(zero, bytes, 1) == -1 && errno == EBADF, "zero became writable");
    CHECK(write(full, bytes, 1) == -1 && errno == ENOSPC, "full is not full");
    CHECK(fcntl(full, F_GETFL) & O_APPEND, "O_APPEND is lost");
    CHECK_EQUAL(read(urandom, bytes, sizeof bytes), sizeof bytes);
    CHECK_EQUAL(fcntl(urandom, F_GETFD), FD_CLOEXEC);
    CHECK(fcntl(chance, F_GETFL) & O_NONBLOCK, "O_NONBLOCK is lost");
    ssize_t n = read(chance, bytes, 16);
    CHECK(n > 0 || errno == EAGAIN, "random: %s", strerror(errno));
    pass();
}
