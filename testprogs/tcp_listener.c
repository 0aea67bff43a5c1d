// Checks TCP sockets without connections: listening with backlog and options, two that share a port (SO_REUSEPORT), bound only, never bound,
// IPv6 and both families at once; accept blocks on, and takes what comes.
// needs: loopback
#include "inet.h"
#include <netinet/tcp.h>

static const struct {
    int level, name, value;
} OPTIONS[] = {
    { SOL_SOCKET, SO_KEEPALIVE, 1 }, { SOL_SOCKET, SO_RCVBUF, 70000 }, { SOL_SOCKET, SO_SNDBUF, 50000 }, { SOL_SOCKET, SO_OOBINLINE, 1 },
    { IPPROTO_TCP, TCP_NODELAY, 1 }, { IPPROTO_TCP, TCP_KEEPIDLE, 77 }, { IPPROTO_TCP, TCP_KEEPINTVL, 11 }, { IPPROTO_TCP, TCP_KEEPCNT, 4 },
    { IPPROTO_TCP, TCP_SYNCNT, 3 }, { IPPROTO_TCP, TCP_LINGER2, 7 }, { IPPROTO_TCP, TCP_DEFER_ACCEPT, 0 }, { IPPROTO_TCP, TCP_USER_TIMEOUT, 9000 },
    { IPPROTO_TCP, TCP_MAXSEG, 900 }, { IPPROTO_TCP, TCP_NOTSENT_LOWAT, 12345 }, { IPPROTO_TCP, TCP_SAVE_SYN, 1 }, { IPPROTO_TCP, TCP_FASTOPEN, 5 },
    { IPPROTO_IP, IP_TTL, 33 }, { IPPROTO_IP, IP_TOS, 0x10 }, { IPPROTO_IP, IP_FREEBIND, 1 },
};
#define EACH(i) for (size_t i = 0; i < sizeof OPTIONS / sizeof *OPTIONS; i++)

static int bound(int family, int reuse)
{
    int fd = MUST(socket(family, SOCK_STREAM, 0));
    if (reuse)
        set_option(fd, SOL_SOCKET, reuse, 1);
    bind_to(fd, loopback(family));
    return fd;
}

static void serves(int listener, struct sockaddr_storage at)
{
    char text[5];
    int client = MUST(socket(at.ss_family, SOCK_STREAM, 0));
    CHECK_SAME(local_of(listener), at);
    CHECK_EQUAL(option(listener, SOL_SOCKET, SO_ACCEPTCONN), 1);
    connect_to(client, at);
    int served = MUST(accept(listener, NULL, NULL));
    CHECK_EQUAL(write(client, "x", 1), 1);
    CHECK_EQUAL(read(served, text, sizeof text), 1);
    close(client);
    close(served);
}

int main(void)
{
    struct sockaddr_storage at, at6 = { 0 }, only_at, shared_at;
    int expected[sizeof OPTIONS / sizeof *OPTIONS], six = -1;
    int listener = bound(AF_INET, 0), idle = MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)), only = bound(AF_INET, SO_REUSEADDR);
    EACH(i)
        set_option(listener, OPTIONS[i].level, OPTIONS[i].name, OPTIONS[i].value);
    MUST(listen(listener, 3));
    EACH(i)
        expected[i] = option(listener, OPTIONS[i].level, OPTIONS[i].name);
    at = local_of(listener);
    only_at = local_of(only);
    set_option(idle, IPPROTO_TCP, TCP_NODELAY, 1);
    MUST(setsockopt(idle, IPPROTO_TCP, TCP_CONGESTION, "reno", 4));

    int group[2];
    group[0] = bound(AF_INET, SO_REUSEPORT);
    shared_at = local_of(group[0]);
    group[1] = MUST(socket(AF_INET, SOCK_STREAM, 0));
    set_option(group[1], SOL_SOCKET, SO_REUSEPORT, 1);
    bind_to(group[1], shared_at);
    for (int i = 0; i < 2; i++)
        MUST(listen(group[i], 20));
    if (has_loopback6()) {
        six = MUST(socket(AF_INET6, SOCK_STREAM, 0));
        set_option(six, IPPROTO_IPV6, IPV6_V6ONLY, 1);
        bind_to(six, loopback(AF_INET6));
        MUST(listen(six, 20));
        at6 = local_of(six);
    }
    int both = MUST(socket(AF_INET6, SOCK_STREAM, 0));
    struct sockaddr_storage any = { .ss_family = AF_INET6 };
    bind_to(both, any);
    MUST(listen(both, 20));
    any = local_of(both);

    // Somebody waits in accept, and hears of a connection that comes afterwards.
    pid_t child = MUST(fork());
    if (!child) {
        int served = MUST(accept(listener, NULL, NULL));
        MUST(write(served, "welcome", 7));
        _exit(0);
    }
    wait_until_in_call(child, SYS_accept);

    ready();

    EACH(i) {
        int is = option(listener, OPTIONS[i].level, OPTIONS[i].name);
        CHECK(is == expected[i], "option %d of level %d is %d, was %d", OPTIONS[i].name, OPTIONS[i].level, is, expected[i]);
    }
    char text[20];
    int client = MUST(socket(AF_INET, SOCK_STREAM, 0));
    connect_to(client, at);
    CHECK_EQUAL(recv(client, text, sizeof text, MSG_WAITALL), 7);
    REAP(child);
    serves(listener, at);
    if (six >= 0)
        serves(six, at6);
    struct sockaddr_storage to_both = loopback(AF_INET);
    ((struct sockaddr_in *)&to_both)->sin_port = ((struct sockaddr_in6 *)&any)->sin6_port;
    client = MUST(socket(AF_INET, SOCK_STREAM, 0));
    connect_to(client, to_both);
    MUST(accept(both, NULL, NULL));

    // The backlog: one more than asked for, and no more.
    int waiting[6], n = 0;
    for (int i = 0; i < 6; i++) {
        waiting[i] = MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
        struct pollfd connected = { .fd = waiting[i], .events = POLLOUT };
        connect(waiting[i], (struct sockaddr *)&at, length_of(&at));
        n += poll(&connected, 1, 30) == 1;
    }
    CHECK_EQUAL(n, 4);

    // Both of a group get some of many.
    int served[2] = { 0 };
    for (int i = 0; i < 40; i++) {
        client = MUST(socket(AF_INET, SOCK_STREAM, 0));
        connect_to(client, shared_at);
        struct pollfd fds[2] = { { .fd = group[0], .events = POLLIN }, { .fd = group[1], .events = POLLIN } };
        CHECK_EQUAL(poll(fds, 2, 1000), 1);
        int which = fds[1].revents != 0;
        close(MUST(accept(group[which], NULL, NULL)));
        served[which]++;
    }
    CHECK(served[0] && served[1], "%d and %d connections", served[0], served[1]);

    CHECK_SAME(local_of(only), only_at);
    CHECK_EQUAL(option(only, SOL_SOCKET, SO_ACCEPTCONN), 0);
    CHECK_EQUAL(option(only, SOL_SOCKET, SO_REUSEADDR), 1);
    MUST(listen(only, 1));
    serves(only, only_at);
    CHECK_EQUAL(option(idle, IPPROTO_TCP, TCP_NODELAY), 1);
    CHECK(fcntl(idle, F_GETFL) & O_NONBLOCK, "O_NONBLOCK is lost");
    socklen_t size = sizeof text;
    MUST(getsockopt(idle, IPPROTO_TCP, TCP_CONGESTION, text, &size));
    CHECK_TEXT(text, "reno");
    pass();
}
