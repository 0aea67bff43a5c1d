// Checks Unix socket pairs that processes share: data both ways, records, ends shut down and closed, errors not yet reported,
// who the peer is, options, O_ASYNC, readers and writers that are blocked.
#include "journey.h"
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

static void check_peer(int fd, pid_t pid)
{
    struct ucred peer;
    socklen_t length = sizeof peer;
    MUST(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length));
    CHECK_EQUAL(peer.uid, geteuid());
    CHECK_EQUAL(peer.gid, getegid());
    if (!pids_are_new() && strcmp(journey(), "unprivileged"))
        CHECK_EQUAL(peer.pid, pid);
}

static void make_pair(int type, int end[2])
{
    MUST(socketpair(AF_UNIX, type, 0, end));
}

static void set(int fd, int option, const void *value, socklen_t length)
{
    MUST(setsockopt(fd, SOL_SOCKET, option, value, length));
}

static void check_option(int fd, int option, const void *value, socklen_t length)
{
    char now[64];
    socklen_t room = sizeof now;
    MUST(getsockopt(fd, SOL_SOCKET, option, now, &room));
    CHECK(room == length && !memcmp(now, value, length), "option %d differs", option);
}

static volatile sig_atomic_t told;

static void tell(int number)
{
    (void)number;
    told++;
}

int main(void)
{
    static char big[150000], back[400000];
    char text[100];
    int on = 1, small = 8192, offset = 3, stored;
    struct timeval hour = { 3600, 0 };
    struct linger linger = { 1, 7 };
    signal(SIGPIPE, SIG_IGN);
    signal(SIGIO, tell);

    // Both ends in use by two processes, and a second pair whose maker has ended.
    int talk[2], left[2];
    make_pair(SOCK_STREAM, talk);
    pid_t maker = MUST(fork());
    if (maker == 0) {
        int made[2];
        make_pair(SOCK_SEQPACKET, made);
        char control[CMSG_SPACE(2 * sizeof(int))] = { 0 };
        struct iovec part = { "x", 1 };
        struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        *header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof made), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
        memcpy(CMSG_DATA(header), made, sizeof made);
        MUST(sendmsg(talk[1], &message, 0));
        _exit(0);
    }
    char control[CMSG_SPACE(2 * sizeof(int))];
    struct iovec part = { text, sizeof text };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
    MUST(recvmsg(talk[0], &message, 0));
    memcpy(left, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof left);
    MUST(waitpid(maker, NULL, 0));

    pid_t child = MUST(fork());
    if (child == 0) {
        close(talk[0]);
        while (read(talk[1], text, 1) == 1)
            MUST(write(talk[1], text, 1));
        _exit(0);
    }
    close(talk[1]);
    wait_until_in_call(child, SYS_read);

    // A writer blocked on a full pair.
    int full[2];
    make_pair(SOCK_STREAM, full);
    fill(big, sizeof big, 5);
    size_t sent = 0;
    ssize_t n;
    while ((n = send(full[0], big + sent % 100000, 777, MSG_DONTWAIT)) > 0)
        sent += n;
    pid_t writer = MUST(fork());
    if (writer == 0) {
        close(talk[0]);
        CHECK_EQUAL(write(full[0], "the end", 7), 7);
        _exit(0);
    }
    wait_until_in_call(writer, SYS_write);

    // Records.
    MUST(send(left[0], "record", 6, 0));
    MUST(send(left[0], "no record...", 12, 0));
    MUST(send(left[1], "back", 4, 0));

    // Ends: writing shut, reading shut, both shut, closed with data left, closed with data unread.
    int no_write[2], no_read[2], none[2], gone[2], reset[2], packets[2], lonely[2];
    make_pair(SOCK_STREAM, no_write);
    make_pair(SOCK_STREAM, no_read);
    make_pair(SOCK_SEQPACKET, none);
    make_pair(SOCK_STREAM, gone);
    make_pair(SOCK_STREAM, reset);
    make_pair(SOCK_SEQPACKET, packets);
    make_pair(SOCK_DGRAM, lonely);
    MUST(write(no_write[0], "last", 4));
    MUST(shutdown(no_write[0], SHUT_WR));
    MUST(shutdown(no_read[0], SHUT_RD));
    MUST(shutdown(none[0], SHUT_RDWR));
    MUST(write(gone[1], "left", 4));
    MUST(close(gone[1]));
    MUST(write(reset[1], "left", 4));
    MUST(write(reset[0], "unread", 6));
    MUST(close(reset[1]));
    MUST(write(packets[1], "one", 3));
    MUST(write(packets[1], "three", 5));
    MUST(close(packets[1]));
    MUST(write(lonely[1], "datagram", 8));
    MUST(close(lonely[1]));

    // Options.
    int options[2], asynchronous[2], plain;
    make_pair(SOCK_STREAM | SOCK_NONBLOCK, options);
    make_pair(SOCK_DGRAM | SOCK_CLOEXEC, asynchronous);
    set(options[0], SO_SNDBUF, &small, sizeof small);
    set(options[0], SO_RCVBUF, &small, sizeof small);
    set(options[0], SO_PASSCRED, &on, sizeof on);
    set(options[0], SO_PEEK_OFF, &offset, sizeof offset);
    set(options[0], SO_RCVTIMEO, &hour, sizeof hour);
    set(options[0], SO_SNDTIMEO, &hour, sizeof hour);
    set(options[0], SO_LINGER, &linger, sizeof linger);
    set(options[0], SO_KEEPALIVE, &on, sizeof on);
    set(options[0], SO_TIMESTAMP, &on, sizeof on);
    socklen_t length = sizeof stored;
    MUST(getsockopt(options[0], SOL_SOCKET, SO_SNDBUF, &stored, &length));
    MUST(write(options[1], "abcdef", 6));
    MUST(fcntl(asynchronous[0], F_SETOWN, getpid()));
    MUST(fcntl(asynchronous[0], F_SETFL, fcntl(asynchronous[0], F_GETFL) | O_ASYNC));
    plain = MUST(socket(AF_UNIX, SOCK_DGRAM, 0));

    ready();

    // The child answers and sees the end.
    for (int i = 0; i < 3; i++) {
        MUST(write(talk[0], "p", 1));
        CHECK_EQUAL(read(talk[0], text, 1), 1);
    }
    check_peer(talk[0], getpid());
    close(talk[0]);
    REAP(child);
    check_peer(left[0], maker);
    for (size_t at = 0; at < sent; at += n) {
        n = recv(full[1], back, sent - at < 777 ? sent - at : 777, MSG_WAITALL);
        CHECK(n > 0 && !memcmp(back, big + at % 100000, n), "the full pair differs at %zu of %zu", at, sent);
    }
    CHECK_EQUAL(recv(full[1], back, 7, MSG_WAITALL), 7);
    REAP(writer);

    CHECK_EQUAL(recv(left[1], text, sizeof text, 0), 6);
    CHECK_EQUAL(recv(left[1], text, 5, MSG_TRUNC), 12);
    CHECK_EQUAL(recv(left[0], text, sizeof text, 0), 4);

    CHECK_EQUAL(read(no_write[1], text, sizeof text), 4);
    CHECK_EQUAL(read(no_write[1], text, sizeof text), 0);
    CHECK(write(no_write[0], "x", 1) == -1 && errno == EPIPE, "the side that is shut writes");
    CHECK_EQUAL(write(no_write[1], "y", 1), 1);
    CHECK_EQUAL(read(no_write[0], text, 1), 1);
    CHECK_EQUAL(read(no_read[0], text, 1), 0);
    CHECK(write(no_read[1], "x", 1) == -1 && errno == EPIPE, "somebody writes to a side that does not read");
    CHECK_EQUAL(write(no_read[0], "z", 1), 1);
    CHECK_EQUAL(read(no_read[1], text, 1), 1);
    CHECK_EQUAL(recv(none[1], text, 1, 0), 0);
    CHECK(send(none[1], "x", 1, 0) == -1 && errno == EPIPE, "a pair that is shut takes data");

    struct pollfd poller = { .fd = gone[0], .events = POLLIN };
    CHECK_EQUAL(poll(&poller, 1, 0), 1);
    CHECK_EQUAL(poller.revents, POLLIN | POLLHUP);
    CHECK_EQUAL(read(gone[0], text, sizeof text), 4);
    CHECK_EQUAL(read(gone[0], text, sizeof text), 0);
    CHECK(write(gone[0], "x", 1) == -1 && errno == EPIPE, "somebody writes to a closed end");
    poller.fd = reset[0];
    CHECK_EQUAL(poll(&poller, 1, 0), 1);
    CHECK_EQUAL(poller.revents, POLLIN | POLLHUP | POLLERR);
    CHECK_EQUAL(read(reset[0], text, sizeof text), 4);
    CHECK(read(reset[0], text, sizeof text) == -1 && errno == ECONNRESET, "the reset is not told: %s", strerror(errno));
    CHECK_EQUAL(read(reset[0], text, sizeof text), 0);
    CHECK_EQUAL(recv(packets[0], text, sizeof text, 0), 3);
    CHECK_EQUAL(recv(packets[0], text, sizeof text, 0), 5);
    CHECK_EQUAL(recv(packets[0], text, sizeof text, 0), 0);
    CHECK_EQUAL(recv(lonely[0], text, sizeof text, MSG_DONTWAIT), 8);
    CHECK(send(lonely[0], "x", 1, 0) == -1 && errno == ECONNREFUSED, "a datagram to nobody: %s", strerror(errno));
    CHECK(send(lonely[0], "x", 1, 0) == -1 && errno == ENOTCONN, "a second datagram to nobody: %s", strerror(errno));

    check_option(options[0], SO_SNDBUF, &stored, sizeof stored);
    check_option(options[0], SO_PASSCRED, &on, sizeof on);
    check_option(options[0], SO_PEEK_OFF, &offset, sizeof offset);
    check_option(options[0], SO_RCVTIMEO, &hour, sizeof hour);
    check_option(options[0], SO_SNDTIMEO, &hour, sizeof hour);
    check_option(options[0], SO_LINGER, &linger, sizeof linger);
    check_option(options[0], SO_KEEPALIVE, &on, sizeof on);
    check_option(options[0], SO_TIMESTAMP, &on, sizeof on);
    CHECK_EQUAL(recv(options[0], text, 2, MSG_PEEK), 2);
    CHECK(!memcmp(text, "de", 2), "a peek begins elsewhere");
    CHECK_EQUAL(recv(options[0], text, 10, 0), 6);
    CHECK(recv(options[0], text, 10, 0) == -1 && errno == EAGAIN, "a socket that does not wait has waited");
    CHECK(fcntl(asynchronous[1], F_GETFD) == FD_CLOEXEC, "close-on-exec is lost");
    CHECK_EQUAL(told, 0);
    MUST(write(asynchronous[1], "signal", 6));
    for (int i = 0; i < 500 && !told; i++)
        doze(10);
    CHECK_EQUAL(told, 1);
    length = sizeof stored;
    MUST(getsockopt(plain, SOL_SOCKET, SO_TYPE, &stored, &length));
    CHECK_EQUAL(stored, SOCK_DGRAM);
    struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "later" };
    MUST(bind(plain, (struct sockaddr *)&address, sizeof address));
    pass();
}
