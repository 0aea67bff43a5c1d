// Checks a FIFO whose name has been removed, with data in it and its two ends in two processes.
#include "journey.h"

int main(void)
{
    char text[20];
    MUST(mkfifo("fifo", 0600));
    int reader = MUST(open("fifo", O_RDONLY | O_NONBLOCK)), writer = MUST(open("fifo", O_WRONLY));
    MUST(fcntl(reader, F_SETFL, 0));
    MUST(unlink("fifo"));
    CHECK_EQUAL(write(writer, "before ", 7), 7);
    pid_t pid = MUST(fork());
    if (pid == 0) {
        close(reader);
        wait_for_go();
        CHECK_EQUAL(write(writer, "after", 5), 5);
        _exit(0);
    }
    close(writer);

    ready();

    REAP(pid);
    CHECK_EQUAL(read(reader, text, sizeof text), 12);
    CHECK(!memcmp(text, "before after", 12), "the FIFO held %.12s", text);
    CHECK_EQUAL(read(reader, text, sizeof text), 0);
    CHECK(access("fifo", F_OK) == -1, "the name is back");
    pass();
}
