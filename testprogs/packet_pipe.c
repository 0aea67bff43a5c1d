// Checks pipes in packet mode (O_DIRECT): the boundaries between the messages in flight.
#include "journey.h"

int main(void)
{
    static const int lengths[] = { 1, 100, 4096, 7, 7, 3000 };
    enum { N = sizeof lengths / sizeof *lengths };
    static char message[4096], back[5000];
    int end[2];
    MUST(pipe2(end, O_DIRECT));
    for (int i = 0; i < N; i++) {
        fill(message, lengths[i], i);
        CHECK_EQUAL(write(end[1], message, lengths[i]), lengths[i]);
    }

    ready();

    CHECK(fcntl(end[1], F_GETFL) & O_DIRECT, "O_DIRECT is lost");
    CHECK_EQUAL(write(end[1], "last", 4), 4);
    for (int i = 0; i < N; i++) {
        CHECK_EQUAL(read(end[0], back, sizeof back), lengths[i]);
        CHECK_FILLED(back, lengths[i], i);
    }
    CHECK_EQUAL(read(end[0], back, sizeof back), 4);
    pass();
}
