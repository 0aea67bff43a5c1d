// Checks named FIFOs: data in flight, the ends' access modes, and that the name still leads to the same FIFO.
#include "journey.h"

int main(void)
{
    char text[100];
    MUST(mkfifo("fifo", 0600));
    int both = MUST(open("fifo", O_RDWR));
    int reader = MUST(open("fifo", O_RDONLY | O_NONBLOCK));
    int writer = MUST(open("fifo", O_WRONLY));
    close(both);
    CHECK_EQUAL(write(writer, "in flight", 9), 9);

    ready();

    int late = MUST(open("fifo", O_WRONLY | O_NONBLOCK));
    CHECK_EQUAL(write(late, " and later", 10), 10);
    CHECK_EQUAL(read(reader, text, sizeof text), 19);
    CHECK(!memcmp(text, "in flight and later", 19), "the FIFO held %.19s", text);
    CHECK(read(reader, text, 1) == -1 && errno == EAGAIN, "the FIFO still has data");
    CHECK_EQUAL(fcntl(writer, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_WRONLY);
    close(late);
    close(writer);
    CHECK_EQUAL(read(reader, text, 1), 0);
    pass();
}
