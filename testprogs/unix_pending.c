// Checks clients that wait to be accepted, in their order: with and without names, in two processes, one that has shut down writing.
#include "journey.h"
#include <sys/socket.h>
#include <sys/un.h>

static struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "socket" };

int main(void)
{
    struct sockaddr_un own = { .sun_family = AF_UNIX, .sun_path = "own" }, from;
    int client[3];
    char text[20];
    int listener = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    MUST(bind(listener, (struct sockaddr *)&address, sizeof address));
    MUST(listen(listener, 5));
    for (int i = 0; i < 3; i++) {
        client[i] = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
        if (i == 1)
            MUST(bind(client[i], (struct sockaddr *)&own, sizeof own));
        MUST(connect(client[i], (struct sockaddr *)&address, sizeof address));
    }
    MUST(shutdown(client[2], SHUT_WR));
    pid_t child = MUST(fork());
    if (child == 0) {
        int fd = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
        MUST(connect(fd, (struct sockaddr *)&address, sizeof address));
        CHECK_EQUAL(read(fd, text, sizeof text), 7);
        CHECK_EQUAL(write(fd, "thanks", 6), 6);
        _exit(0);
    }
    wait_until_in_call(child, SYS_read);

    ready();

    for (int i = 0; i < 3; i++) {
        socklen_t length = sizeof from;
        memset(&from, 0, sizeof from);
        int fd = MUST(accept(listener, (struct sockaddr *)&from, &length));
        CHECK(!strcmp(length > 2 ? from.sun_path : "", i == 1 ? "own" : ""), "client %d is %s", i, from.sun_path);
        snprintf(text, sizeof text, "client %d", i);
        if (i < 2) {
            CHECK_EQUAL(write(client[i], text, 8), 8);
            CHECK_EQUAL(read(fd, text, sizeof text), 8);
            CHECK_EQUAL(text[7], '0' + i);
        } else {
            CHECK_EQUAL(read(fd, text, sizeof text), 0);
        }
        CHECK_EQUAL(write(fd, "welcome", 7), 7);
        CHECK_EQUAL(read(client[i], text, sizeof text), 7);
    }
    int fd = MUST(accept(listener, NULL, NULL));
    struct ucred peer;
    socklen_t length = sizeof peer;
    MUST(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length));
    CHECK_EQUAL(peer.uid, geteuid());
    if (!pids_are_new() && strcmp(journey(), "unprivileged"))
        CHECK_EQUAL(peer.pid, child);
    CHECK_EQUAL(write(fd, "welcome", 7), 7);
    CHECK_EQUAL(read(fd, text, sizeof text), 6);
    MUST(fcntl(listener, F_SETFL, O_NONBLOCK));
    CHECK(accept(listener, NULL, NULL) == -1 && errno == EAGAIN, "a client too many");
    REAP(child);
    pass();
}
