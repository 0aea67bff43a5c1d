// Checks Internet sockets without connections: a TCP listener, UDP sockets bound and connected, their options.
// needs: loopback
#include "journey.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static struct sockaddr_in address;
static socklen_t length = sizeof address;

static int bound(int type)
{
    int fd = MUST(socket(AF_INET, type, 0));
    address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    MUST(bind(fd, (struct sockaddr *)&address, sizeof address));
    MUST(getsockname(fd, (struct sockaddr *)&address, &length));
    return fd;
}

static int option(int fd, int level, int name)
{
    int value;
    socklen_t size = sizeof value;
    MUST(getsockopt(fd, level, name, &value, &size));
    return value;
}

int main(void)
{
    int one = 1;
    char text[50];
    int listener = bound(SOCK_STREAM);
    struct sockaddr_in tcp = address, now;
    MUST(setsockopt(listener, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one));
    MUST(listen(listener, 7));
    int receiver = bound(SOCK_DGRAM), sender = bound(SOCK_DGRAM);
    MUST(getsockname(receiver, (struct sockaddr *)&address, &length));
    MUST(connect(sender, (struct sockaddr *)&address, sizeof address));
    int idle = MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    MUST(setsockopt(idle, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one));
    int six = socket(AF_INET6, SOCK_STREAM, 0);
    if (six >= 0)
        MUST(setsockopt(six, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one));

    ready();

    MUST(getsockname(listener, (struct sockaddr *)&now, &length));
    CHECK_EQUAL(now.sin_port, tcp.sin_port);
    CHECK_EQUAL(option(listener, SOL_SOCKET, SO_KEEPALIVE), 1);
    CHECK_EQUAL(option(listener, SOL_SOCKET, SO_ACCEPTCONN), 1);
    CHECK_EQUAL(option(idle, IPPROTO_TCP, TCP_NODELAY), 1);
    CHECK(fcntl(idle, F_GETFL) & O_NONBLOCK, "O_NONBLOCK is lost");
    if (six >= 0)
        CHECK_EQUAL(option(six, IPPROTO_IPV6, IPV6_V6ONLY), 1);
    int client = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(connect(client, (struct sockaddr *)&tcp, sizeof tcp));
    int served = MUST(accept(listener, NULL, NULL));
    CHECK_EQUAL(write(client, "x", 1), 1);
    CHECK_EQUAL(read(served, text, sizeof text), 1);
    CHECK_EQUAL(write(sender, "datagram", 8), 8);
    CHECK_EQUAL(read(receiver, text, sizeof text), 8);
    pass();
}
