// Checks TCP connections with both ends in the job, over IPv4, IPv6 and both: data in both directions, much of it not yet taken by the other
// end; half closed in both directions with data left; closed by both; options; blocked readers; a listener on the same port.
// needs: loopback
#include "inet.h"
#include <netinet/tcp.h>
#include <linux/sockios.h>

struct pair {
    int client, server, listener;
    struct sockaddr_storage client_at, server_at;
};

static struct pair pair_on(int family, int any)
{
    struct pair p = { .listener = MUST(socket(family, SOCK_STREAM, 0)), .client = MUST(socket(any ? AF_INET : family, SOCK_STREAM, 0)) };
    struct sockaddr_storage at = loopback(family);
    if (any)
        memset(&((struct sockaddr_in6 *)&at)->sin6_addr, 0, 16);
    bind_to(p.listener, at);
    MUST(listen(p.listener, 5));
    at = local_of(p.listener);
    if (any) {
        struct sockaddr_storage four = loopback(AF_INET);
        ((struct sockaddr_in *)&four)->sin_port = ((struct sockaddr_in6 *)&at)->sin6_port;
        at = four;
    }
    connect_to(p.client, at);
    p.server = MUST(accept(p.listener, NULL, NULL));
    p.client_at = local_of(p.client);
    p.server_at = local_of(p.server);
    return p;
}

static struct pair pair(int family)
{
    struct pair p = pair_on(family, 0);
    close(p.listener);
    p.listener = -1;
    return p;
}

static void same_ends(struct pair p)
{
    CHECK_SAME(local_of(p.client), p.client_at);
    CHECK_SAME(local_of(p.server), p.server_at);
    if (p.client_at.ss_family == p.server_at.ss_family) {
        CHECK_SAME(peer_of(p.client), p.server_at);
        CHECK_SAME(peer_of(p.server), p.client_at);
    }
}

static void say(int fd, const char *text)
{
    CHECK_EQUAL(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void hear(int fd, const char *text)
{
    char heard[100] = "";
    CHECK_EQUAL(recv(fd, heard, strlen(text), MSG_WAITALL), strlen(text));
    CHECK_TEXT(heard, text);
}

static void hear_end(int fd)
{
    char byte;
    CHECK_EQUAL(recv(fd, &byte, 1, 0), 0);
}

static void talk(struct pair p)
{
    say(p.client, "question");
    hear(p.server, "question");
    say(p.server, "answer");
    hear(p.client, "answer");
}

int main(void)
{
    static char big[300000], back[300000];
    fill(big, sizeof big, 9);
    struct pair four = pair(AF_INET), kept = pair_on(AF_INET, 0), full = pair(AF_INET), half = pair(AF_INET), other_half = pair(AF_INET);
    struct pair done = pair(AF_INET), gone = pair(AF_INET), silent = pair(AF_INET), six = { 0 }, both = { 0 };
    int has_six = has_loopback6();
    if (has_six) {
        six = pair(AF_INET6);
        say(six.client, "over IPv6");
        both = pair_on(AF_INET6, 1);
        say(both.client, "over both");
    }
    say(four.client, "to server");
    say(four.server, "to client");
    set_option(four.client, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(four.client, IPPROTO_TCP, TCP_KEEPIDLE, 99);
    set_option(four.server, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(four.server, SOL_SOCKET, SO_RCVBUF, 90000);
    set_option(four.server, IPPROTO_IP, IP_TOS, 8);
    int rcvbuf = option(four.server, SOL_SOCKET, SO_RCVBUF);
    MUST(setsockopt(four.server, IPPROTO_TCP, TCP_CONGESTION, "reno", 4));

    // More than the other end takes, both ways.
    set_option(full.client, SOL_SOCKET, SO_SNDBUF, 200000);
    set_option(full.server, SOL_SOCKET, SO_SNDBUF, 200000);
    fcntl(full.client, F_SETFL, O_NONBLOCK);
    fcntl(full.server, F_SETFL, O_NONBLOCK);
    size_t sent[2] = { 0 };
    for (int way = 0; way < 2; way++)
        for (int idle = 0; idle < 10; doze(2)) {
            ssize_t n = send(way ? full.server : full.client, big + sent[way] % sizeof big, sizeof big - sent[way] % sizeof big, MSG_NOSIGNAL);
            if (n > 0)
                sent[way] += n, idle = 0;
            else
                idle++;
        }
    CHECK(amount(full.client, SIOCOUTQ) > 0, "everything is taken");

    // The client says no more; the server neither.
    say(half.client, "last words");
    say(half.server, "unread");
    MUST(shutdown(half.client, SHUT_WR));
    say(other_half.server, "last words");
    MUST(shutdown(other_half.server, SHUT_WR));
    // Both say no more, and there is something to read.
    say(done.client, "left");
    say(done.server, "right");
    MUST(shutdown(done.client, SHUT_WR));
    MUST(shutdown(done.server, SHUT_WR));
    // Closed by one end, with data for the other.
    say(gone.client, "farewell");
    close(gone.client);
    MUST(shutdown(silent.server, SHUT_RD));
    doze(50);

    pid_t child = MUST(fork());
    if (!child) {
        hear(kept.client, "wake up");
        say(kept.client, "awake");
        _exit(0);
    }
    wait_until_in_call(child, SYS_recvfrom);

    ready();

    same_ends(four);
    hear(four.server, "to server");
    hear(four.client, "to client");
    talk(four);
    CHECK_EQUAL(option(four.client, IPPROTO_TCP, TCP_NODELAY), 1);
    CHECK_EQUAL(option(four.client, IPPROTO_TCP, TCP_KEEPIDLE), 99);
    CHECK_EQUAL(option(four.server, IPPROTO_TCP, TCP_NODELAY), 0);
    CHECK_EQUAL(option(four.server, SOL_SOCKET, SO_KEEPALIVE), 1);
    CHECK_EQUAL(option(four.server, SOL_SOCKET, SO_RCVBUF), rcvbuf);
    CHECK_EQUAL(option(four.server, IPPROTO_IP, IP_TOS), 8);
    char congestion[20] = "";
    socklen_t size = sizeof congestion;
    MUST(getsockopt(four.server, IPPROTO_TCP, TCP_CONGESTION, congestion, &size));
    CHECK_TEXT(congestion, "reno");

    same_ends(kept);
    say(kept.server, "wake up");
    hear(kept.server, "awake");
    REAP(child);
    int client = MUST(socket(AF_INET, SOCK_STREAM, 0));
    connect_to(client, kept.server_at);
    MUST(accept(kept.listener, NULL, NULL));

    for (int way = 0; way < 2; way++) {
        size_t got = 0;
        int from = way ? full.client : full.server;
        fcntl(from, F_SETFL, 0);
        while (got < sent[way]) {
            size_t want = sent[way] - got < sizeof big - got % sizeof big ? sent[way] - got : sizeof big - got % sizeof big;
            ssize_t n = MUST(recv(from, back, want, 0));
            CHECK(n > 0 && !memcmp(back, big + got % sizeof big, n), "byte %zu and following of way %d are others", got, way);
            got += n;
        }
    }
    fcntl(full.client, F_SETFL, 0);
    talk(full);

    same_ends(half);
    hear(half.server, "last words");
    hear_end(half.server);
    hear(half.client, "unread");
    CHECK(send(half.client, "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE, "a client that has said its last says more");
    say(half.server, "one way");
    hear(half.client, "one way");
    close(half.server);
    hear_end(half.client);
    same_ends(other_half);
    hear(other_half.client, "last words");
    hear_end(other_half.client);
    say(other_half.client, "one way");
    hear(other_half.server, "one way");
    hear(done.server, "left");
    hear_end(done.server);
    hear(done.client, "right");
    hear_end(done.client);
    hear(gone.server, "farewell");
    hear_end(gone.server);
    hear_end(silent.server);
    say(silent.server, "still speaks");
    hear(silent.client, "still speaks");
    if (has_six) {
        same_ends(six);
        hear(six.server, "over IPv6");
        talk(six);
        same_ends(both);
        hear(both.server, "over both");
        talk(both);
    }
    pass();
}
