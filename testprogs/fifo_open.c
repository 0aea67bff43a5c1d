// Checks open() of a FIFO that waits for the other end: one child waits for a writer, one for a reader.
#include "journey.h"

static void child(const char *path, int flags)
{
    char byte;
    int fd = open(path, flags);
    CHECK(fd >= 0, "open(%s): %s", path, strerror(errno));
    if (flags == O_RDONLY)
        CHECK(read(fd, &byte, 1) == 1 && byte == 'r', "nothing came through %s", path);
    else
        CHECK_EQUAL(write(fd, "w", 1), 1);
    _exit(0);
}

int main(void)
{
    char byte;
    MUST(mkfifo("for-reader", 0600));
    MUST(mkfifo("for-writer", 0600));
    pid_t reader = MUST(fork());
    if (reader == 0)
        child("for-reader", O_RDONLY);
    pid_t writer = MUST(fork());
    if (writer == 0)
        child("for-writer", O_WRONLY);
    wait_until_in_call(reader, SYS_openat);
    wait_until_in_call(writer, SYS_openat);

    ready();

    int fd = MUST(open("for-reader", O_WRONLY));
    CHECK_EQUAL(write(fd, "r", 1), 1);
    fd = MUST(open("for-writer", O_RDONLY));
    CHECK(read(fd, &byte, 1) == 1 && byte == 'w', "nothing came from the writer");
    REAP(reader);
    REAP(writer);
    pass();
}
