// Checks Unix socket pairs: stream data queued both ways, datagrams with their boundaries, a closed end, shutdown.
#include "journey.h"
#include <sys/socket.h>

int main(void)
{
    int stream[2], datagram[2], sequence[2], half[2];
    static char data[20000], back[30000];
    fill(data, sizeof data, 32);
    signal(SIGPIPE, SIG_IGN);
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, stream));
    MUST(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, datagram));
    MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sequence));
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, half));
    CHECK_EQUAL(write(stream[0], data, sizeof data), sizeof data);
    CHECK_EQUAL(write(stream[1], "other way", 9), 9);
    for (int i = 1; i <= 5; i++)
        CHECK_EQUAL(write(datagram[0], data, i * 1000), i * 1000);
    CHECK_EQUAL(write(sequence[0], data, 10), 10);
    CHECK_EQUAL(write(sequence[0], data, 20), 20);
    CHECK_EQUAL(write(half[0], "rest", 4), 4);
    MUST(shutdown(half[0], SHUT_WR));

    ready();

    CHECK_EQUAL(write(stream[0], "more", 4), 4);
    CHECK_EQUAL(recv(stream[1], back, sizeof data + 4, MSG_WAITALL), sizeof data + 4);
    CHECK(!memcmp(back, data, sizeof data) && !memcmp(back + sizeof data, "more", 4), "stream data differs");
    CHECK_EQUAL(read(stream[0], back, sizeof back), 9);
    CHECK(!memcmp(back, "other way", 9), "data the other way differs");
    for (int i = 1; i <= 5; i++) {
        CHECK_EQUAL(read(datagram[1], back, sizeof back), i * 1000);
        CHECK(!memcmp(back, data, i * 1000), "datagram %d differs", i);
    }
    CHECK(read(datagram[1], back, 1) == -1 && errno == EAGAIN, "a datagram too many");
    CHECK_EQUAL(read(sequence[1], back, sizeof back), 10);
    CHECK_EQUAL(read(sequence[1], back, sizeof back), 20);
    CHECK_EQUAL(fcntl(sequence[0], F_GETFD), FD_CLOEXEC);
    CHECK_EQUAL(read(half[1], back, sizeof back), 4);
    CHECK_EQUAL(read(half[1], back, sizeof back), 0);
    CHECK(write(half[0], "x", 1) == -1 && errno == EPIPE, "the shut down side writes");
    CHECK_EQUAL(write(half[1], "y", 1), 1);
    CHECK_EQUAL(read(half[0], back, sizeof back), 1);
    int type;
    socklen_t length = sizeof type;
    MUST(getsockopt(sequence[1], SOL_SOCKET, SO_TYPE, &type, &length));
    CHECK_EQUAL(type, SOCK_SEQPACKET);
    pass();
}
