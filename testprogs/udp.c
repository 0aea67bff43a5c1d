// Checks UDP and UDP-Lite sockets over IPv4, IPv6 and mapped addresses: bound, connected, neither; datagrams in their queues with sources and
// boundaries; a socket that a child shares.
// needs: loopback
#include "inet.h"
#include <netinet/udp.h>

static struct sockaddr_storage mapped(struct sockaddr_storage four)
{
    struct sockaddr_storage any = { 0 };
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&any;
    struct sockaddr_in *old = (struct sockaddr_in *)&four;
    six->sin6_family = AF_INET6;
    six->sin6_port = old->sin_port;
    six->sin6_addr.s6_addr[10] = six->sin6_addr.s6_addr[11] = 0xff;
    memcpy(six->sin6_addr.s6_addr + 12, &old->sin_addr, 4);
    return any;
}

struct pair {
    int receiver, sender, stranger;
    struct sockaddr_storage at, from, other;
};

static char large[30000];

// A bound socket with datagrams of a connected one and of one that is gone.
static struct pair pair(int family, int protocol)
{
    struct pair p = { .receiver = MUST(socket(family, SOCK_DGRAM, protocol)), .sender = MUST(socket(family, SOCK_DGRAM, protocol)) };
    bind_to(p.receiver, loopback(family));
    p.at = local_of(p.receiver);
    connect_to(p.sender, p.at);
    p.from = local_of(p.sender);
    int gone = MUST(socket(family, SOCK_DGRAM, protocol));
    bind_to(gone, loopback(family));
    p.other = local_of(gone);
    MUST(send(p.sender, "first", 5, 0));
    MUST(sendto(gone, "second one", 10, 0, (struct sockaddr *)&p.at, length_of(&p.at)));
    MUST(send(p.sender, "", 0, 0));
    MUST(send(p.sender, large, sizeof large, 0));
    close(gone);
    return p;
}

static void expect(int fd, const void *data, ssize_t bytes, struct sockaddr_storage source)
{
    static char text[40000];
    struct sockaddr_storage from = { 0 };
    socklen_t length = sizeof from;
    ssize_t got = recvfrom(fd, text, sizeof text, MSG_DONTWAIT, (struct sockaddr *)&from, &length);
    CHECK(got == bytes, "a datagram of %zd instead of %zd bytes: %s", got, bytes, got < 0 ? strerror(errno) : "");
    CHECK(!memcmp(text, data, bytes), "the datagram of %zd bytes is another", bytes);
    CHECK_SAME(from, source);
}

static void expect_nothing(int fd)
{
    char text[10];
    ssize_t got = recv(fd, text, sizeof text, MSG_DONTWAIT);
    CHECK(got < 0 && errno == EAGAIN, "there is one more datagram of %zd bytes", got);
}

static void verify(struct pair p)
{
    CHECK_SAME(local_of(p.receiver), p.at);
    CHECK_SAME(local_of(p.sender), p.from);
    CHECK_SAME(peer_of(p.sender), p.at);
    expect(p.receiver, "first", 5, p.from);
    expect(p.receiver, "second one", 10, p.other);
    expect(p.receiver, "", 0, p.from);
    expect(p.receiver, large, sizeof large, p.from);
    expect(p.receiver, "child", 5, p.from);
    expect_nothing(p.receiver);
    MUST(sendto(p.receiver, "answer", 6, 0, (struct sockaddr *)&p.from, length_of(&p.from)));
    expect(p.sender, "answer", 6, p.at);
    expect_nothing(p.sender);
}

int main(void)
{
    struct pair pairs[3];
    int n = 0;
    fill(large, sizeof large, 3);
    pairs[n++] = pair(AF_INET, 0);
    if (has_loopback6())
        pairs[n++] = pair(AF_INET6, 0);
    int lite = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE);
    if (lite >= 0)
        pairs[n++] = pair(AF_INET, IPPROTO_UDPLITE);

    // A socket of IPv6 that talks IPv4.
    int both = MUST(socket(AF_INET6, SOCK_DGRAM, 0)), caller = MUST(socket(AF_INET, SOCK_DGRAM, 0));
    bind_to(caller, loopback(AF_INET));
    connect_to(both, mapped(local_of(caller)));
    struct sockaddr_storage both_at = local_of(both), to_both = loopback(AF_INET);
    ((struct sockaddr_in *)&to_both)->sin_port = ((struct sockaddr_in6 *)&both_at)->sin6_port;
    connect_to(caller, to_both);
    MUST(send(caller, "to both", 7, 0));

    // Any address; two sockets of one port, which is possible with SO_REUSEADDR; one that nobody has bound.
    int any[2], idle = MUST(socket(AF_INET, SOCK_DGRAM, 0));
    struct sockaddr_storage wild = { .ss_family = AF_INET }, here = loopback(AF_INET);
    for (int i = 0; i < 2; i++) {
        any[i] = MUST(socket(AF_INET, SOCK_DGRAM, 0));
        set_option(any[i], SOL_SOCKET, SO_REUSEADDR, 1);
        bind_to(any[i], wild);
        wild = local_of(any[i]);
        // The youngest gets what comes.
        ((struct sockaddr_in *)&here)->sin_port = ((struct sockaddr_in *)&wild)->sin_port;
        MUST(sendto(caller, "xy", 1 + i, 0, NULL, 0));
        MUST(sendto(pairs[0].receiver, "young", 3 + i, 0, (struct sockaddr *)&here, length_of(&here)));
    }

    // Connected, and cut off in one direction.
    int half = MUST(socket(AF_INET, SOCK_DGRAM, 0));
    bind_to(half, loopback(AF_INET));
    connect_to(half, pairs[0].from);
    MUST(shutdown(half, SHUT_WR));
    struct sockaddr_storage half_at = local_of(half);

    pid_t child = MUST(fork());
    if (!child) {
        wait_for_go();
        for (int i = 0; i < n; i++)
            MUST(send(pairs[i].sender, "child", 5, 0));
        _exit(0);
    }

    ready();

    REAP(child);
    for (int i = 0; i < n; i++)
        verify(pairs[i]);
    CHECK_SAME(local_of(both), both_at);
    CHECK_SAME(peer_of(caller), to_both);
    expect(both, "to both", 7, mapped(local_of(caller)));
    MUST(send(both, "back", 4, 0));
    expect(both, "xy", 1, mapped(local_of(caller)));
    expect(both, "xy", 2, mapped(local_of(caller)));
    expect(caller, "back", 4, to_both);
    for (int i = 0; i < 2; i++) {
        CHECK_SAME(local_of(any[i]), wild);
        CHECK_EQUAL(option(any[i], SOL_SOCKET, SO_REUSEADDR), 1);
        expect(any[i], "young", 3 + i, pairs[0].at);
        expect_nothing(any[i]);
    }
    CHECK_EQUAL(option(pairs[0].receiver, SOL_SOCKET, SO_REUSEADDR), 0);
    CHECK(!((struct sockaddr_in *)&(struct sockaddr_storage[]){ local_of(idle) }[0])->sin_port, "the idle socket is bound");
    CHECK_SAME(local_of(half), half_at);
    CHECK_SAME(peer_of(half), pairs[0].from);
    CHECK(send(half, "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE, "a socket that was shut down sends");
    MUST(sendto(pairs[0].sender, "to half", 7, 0, (struct sockaddr *)&half_at, length_of(&half_at)));
    expect(half, "to half", 7, pairs[0].from);
    pass();
}
