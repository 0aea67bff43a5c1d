// Checks a listening Unix socket with clients that nobody has accepted yet, and what they have sent already.
#include "journey.h"
#include <sys/socket.h>
#include <sys/un.h>

int main(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "socket" };
    int client[3];
    char text[10];
    int listener = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    MUST(bind(listener, (struct sockaddr *)&address, sizeof address));
    MUST(listen(listener, 5));
    for (int i = 0; i < 3; i++) {
        client[i] = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
        MUST(connect(client[i], (struct sockaddr *)&address, sizeof address));
        snprintf(text, sizeof text, "client %d", i);
        CHECK_EQUAL(write(client[i], text, 8), 8);
    }

    ready();

    for (int i = 0; i < 3; i++) {
        char wanted[10];
        int fd = MUST(accept(listener, NULL, NULL));
        snprintf(wanted, sizeof wanted, "client %d", i);
        CHECK_EQUAL(read(fd, text, sizeof text), 8);
        CHECK(!memcmp(text, wanted, 8), "client %d sent %.8s", i, text);
        CHECK_EQUAL(write(fd, "welcome", 7), 7);
        CHECK_EQUAL(read(client[i], text, sizeof text), 7);
    }
    MUST(fcntl(listener, F_SETFL, O_NONBLOCK));
    CHECK(accept(listener, NULL, NULL) == -1 && errno == EAGAIN, "a client too many");
    pass();
}
