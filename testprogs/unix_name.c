// Checks names of Unix sockets: relative (also by way of ..), absolute, abstract and chosen by the kernel; permissions of nodes; nodes that
// were renamed, removed or replaced; connections by name, whose ends know each other; backlogs; datagrams from many, and to a closed socket.
#include "journey.h"
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static struct sockaddr_un address;

static socklen_t name(const char *text)
{
    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, text, *text ? strlen(text) : strlen(text + 1) + 1);
    return offsetof(struct sockaddr_un, sun_path) + (*text ? strlen(text) + 1 : strlen(text + 1) + 1);
}

static int bound(int type, const char *text)
{
    int fd = MUST(socket(AF_UNIX, type, 0));
    socklen_t length = name(text);
    MUST(bind(fd, (struct sockaddr *)&address, length));
    return fd;
}

static int listening(int type, const char *text, int backlog)
{
    int fd = bound(type, text);
    MUST(listen(fd, backlog));
    return fd;
}

static void to(int fd, const char *text)
{
    socklen_t length = name(text);
    MUST(connect(fd, (struct sockaddr *)&address, length));
}

static int client(int type, const char *text)
{
    int fd = MUST(socket(AF_UNIX, type, 0));
    to(fd, text);
    return fd;
}

static void check_name(int fd, const char *text)
{
    struct sockaddr_un now = { 0 };
    socklen_t length = sizeof now, wanted = name(text);
    MUST(getsockname(fd, (struct sockaddr *)&now, &length));
    CHECK(length == wanted && !memcmp(&now, &address, wanted), "the name is %s, not %s", now.sun_path, text);
}

static void check_peer_name(int fd, const char *text)
{
    struct sockaddr_un now = { 0 };
    socklen_t length = sizeof now, wanted = name(text);
    MUST(getpeername(fd, (struct sockaddr *)&now, &length));
    if (!text[0] && !text[1])
        CHECK_EQUAL(length, 2);
    else
        CHECK(length == wanted && !memcmp(&now, &address, wanted), "the peer's name is %s, not %s", now.sun_path, text);
}

static void check_peer(int fd, pid_t pid)
{
    struct ucred peer;
    socklen_t length = sizeof peer;
    MUST(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length));
    CHECK_EQUAL(peer.uid, geteuid());
    if (!pids_are_new() && strcmp(journey(), "unprivileged"))
        CHECK_EQUAL(peer.pid, pid);
}

static void check_datagram(int fd, const char *wanted, const char *sender)
{
    char text[64] = "";
    struct sockaddr_un from = { 0 };
    socklen_t length = sizeof from;
    ssize_t got = recvfrom(fd, text, sizeof text - 1, MSG_DONTWAIT, (struct sockaddr *)&from, &length);
    CHECK(got == (ssize_t)strlen(wanted) && !memcmp(text, wanted, got), "got %s instead of %s: %s", text, wanted, strerror(errno));
    CHECK(!strcmp(length > 2 ? from.sun_path + !from.sun_path[0] : "", sender), "it comes from %s, not %s", from.sun_path, sender);
}

static void serve(int listener, const char *text)
{
    char byte;
    int type;
    socklen_t length = sizeof type;
    MUST(getsockopt(listener, SOL_SOCKET, SO_TYPE, &type, &length));
    int fd = client(type, text), served = MUST(accept(listener, NULL, NULL));
    MUST(write(fd, "!", 1));
    CHECK_EQUAL(read(served, &byte, 1), 1);
    close(fd);
    close(served);
}

int main(void)
{
    char absolute[100], hidden[64] = "", text[64], here[80];
    struct stat before, after;
    struct sockaddr_un chosen = { .sun_family = AF_UNIX };
    socklen_t length = sizeof chosen;
    signal(SIGPIPE, SIG_IGN);
    CHECK(getcwd(here, sizeof here), "no working directory");
    snprintf(absolute, sizeof absolute, "%s/absolute", here);
    snprintf(hidden + 1, sizeof hidden - 1, "reprise-name-%d", getpid());

    MUST(mkdir("sub", 0700));
    MUST(chdir("sub"));
    int up = listening(SOCK_STREAM, "../up", 5);
    MUST(chdir(".."));
    int deep = listening(SOCK_SEQPACKET, "sub/deep", 5);
    int whole = listening(SOCK_STREAM, absolute, 5), abstract = listening(SOCK_STREAM, hidden, 3);
    MUST(chmod("up", 0640));
    MUST(stat("up", &before));
    int kernels = MUST(socket(AF_UNIX, SOCK_DGRAM, 0));
    MUST(bind(kernels, (struct sockaddr *)&chosen, 2));
    MUST(getsockname(kernels, (struct sockaddr *)&chosen, &length));

    // Nodes that are elsewhere, nowhere, or stand for something else.
    int renamed = listening(SOCK_STREAM, "renamed", 5), removed = listening(SOCK_STREAM, "removed", 5);
    int replaced = bound(SOCK_DGRAM, "replaced"), covered = listening(SOCK_STREAM, "covered", 5);
    MUST(rename("renamed", "now"));
    int late = client(SOCK_STREAM, "removed"), early = MUST(accept(removed, NULL, NULL));
    MUST(unlink("removed"));
    MUST(unlink("replaced"));
    MUST(mkfifo("replaced", 0600));
    MUST(unlink("covered"));
    int cover = listening(SOCK_STREAM, "covered", 5);

    // Connections: by name, both with names, between two processes, from an abstract name.
    int one = client(SOCK_STREAM, "up"), served = MUST(accept(up, NULL, NULL));
    int named = bound(SOCK_SEQPACKET, "named");
    to(named, "sub/deep");
    int for_named = MUST(accept(deep, NULL, NULL));
    pid_t caller = MUST(fork());
    if (caller == 0) {
        int fd = client(SOCK_STREAM, hidden);
        CHECK_EQUAL(write(fd, "called", 6), 6);
        while (read(fd, text, 1) == 1) { }
        _exit(0);
    }
    int called = MUST(accept(abstract, NULL, NULL));
    wait_until_in_call(caller, SYS_read);
    CHECK_EQUAL(write(one, "to the server", 13), 13);
    CHECK_EQUAL(write(served, "to the client", 13), 13);
    // A connection whose client is gone.
    int gone = client(SOCK_STREAM, absolute), left = MUST(accept(whole, NULL, NULL));
    CHECK_EQUAL(write(gone, "left", 4), 4);
    close(gone);

    // Datagrams.
    int center = bound(SOCK_DGRAM, "center"), first = client(SOCK_DGRAM, "center"), second = bound(SOCK_DGRAM, "second");
    to(second, "center");
    to(center, "second");
    CHECK_EQUAL(write(second, "from second", 11), 11);
    int third = bound(SOCK_DGRAM, "third"), into_nothing = bound(SOCK_DGRAM, "nothing"), lost = client(SOCK_DGRAM, "nothing");
    int mail = bound(SOCK_DGRAM, "mail"), passer = bound(SOCK_DGRAM, "passer"), itself = bound(SOCK_DGRAM, "itself");
    to(first, "mail");
    to(third, "mail");
    to(passer, "mail");
    to(itself, "itself");
    CHECK_EQUAL(write(first, "no name", 7), 7);
    CHECK_EQUAL(write(third, "name", 4), 4);
    CHECK_EQUAL(write(passer, "passed", 6), 6);
    CHECK_EQUAL(write(first, "no name again", 13), 13);
    CHECK_EQUAL(write(itself, "me", 2), 2);
    close(passer);
    close(into_nothing);

    ready();

    check_name(up, "../up");
    check_name(deep, "sub/deep");
    check_name(whole, absolute);
    check_name(abstract, hidden);
    struct sockaddr_un now = { 0 };
    length = sizeof now;
    MUST(getsockname(kernels, (struct sockaddr *)&now, &length));
    CHECK(!memcmp(&now, &chosen, sizeof now), "the name that the kernel chose is another");
    MUST(stat("up", &after));
    CHECK_EQUAL(after.st_mode, before.st_mode);
    CHECK_EQUAL(after.st_uid, before.st_uid);
    serve(up, "up");
    serve(deep, "sub/deep");
    serve(whole, "absolute");
    serve(abstract, hidden);
    check_name(renamed, "renamed");
    serve(renamed, "now");
    CHECK(access("renamed", F_OK) == -1, "a renamed node is back");
    check_name(removed, "removed");
    CHECK(access("removed", F_OK) == -1, "a removed node is back");
    check_peer_name(late, "removed");
    check_name(early, "removed");
    check_name(replaced, "replaced");
    MUST(stat("replaced", &after));
    CHECK(S_ISFIFO(after.st_mode), "a socket has taken the place of a FIFO");
    check_name(covered, "covered");
    serve(cover, "covered");

    check_peer_name(one, "../up");
    check_name(served, "../up");
    check_peer(one, getpid());
    CHECK_EQUAL(read(served, text, sizeof text), 13);
    CHECK(!memcmp(text, "to the server", 13), "data for the server differs");
    CHECK_EQUAL(read(one, text, sizeof text), 13);
    CHECK(!memcmp(text, "to the client", 13), "data for the client differs");
    check_name(named, "named");
    check_peer_name(for_named, "named");
    check_peer_name(named, "sub/deep");
    CHECK_EQUAL(send(named, "record", 6, 0), 6);
    CHECK_EQUAL(recv(for_named, text, sizeof text, 0), 6);
    check_peer(called, caller);
    check_name(called, hidden);
    CHECK_EQUAL(read(called, text, sizeof text), 6);
    close(called);
    REAP(caller);
    check_name(left, absolute);
    CHECK_EQUAL(read(left, text, sizeof text), 4);
    CHECK_EQUAL(read(left, text, sizeof text), 0);

    check_datagram(center, "from second", "second");
    CHECK_EQUAL(write(center, "answer", 6), 6);
    check_datagram(second, "answer", "center");
    check_datagram(mail, "no name", "");
    check_datagram(mail, "name", "third");
    check_datagram(mail, "passed", "passer");
    check_datagram(mail, "no name again", "");
    CHECK_EQUAL(write(third, "more", 4), 4);
    check_datagram(mail, "more", "third");
    check_datagram(itself, "me", "itself");
    check_peer_name(lost, "nothing");
    CHECK(write(lost, "x", 1) == -1 && errno == ECONNREFUSED, "a datagram to nobody: %s", strerror(errno));

    // The backlog: three may wait, and one more.
    int waiting = 0;
    name(hidden);
    for (;; waiting++) {
        int fd = MUST(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
        if (connect(fd, (struct sockaddr *)&address, name(hidden)))
            break;
    }
    CHECK(errno == EAGAIN, "one too many: %s", strerror(errno));
    CHECK_EQUAL(waiting, 4);
    pass();
}
