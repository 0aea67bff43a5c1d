// Checks named Unix sockets: a listener, an accepted connection, a datagram socket with a name and messages
// queued for it, an abstract name.
#include "journey.h"
#include <sys/socket.h>
#include <sys/un.h>

static int named(int type, const char *path, int length)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    memcpy(address.sun_path, path, length);
    int fd = MUST(socket(AF_UNIX, type, 0));
    MUST(bind(fd, (struct sockaddr *)&address, offsetof(struct sockaddr_un, sun_path) + length));
    return fd;
}

static int client_of(int type, const char *path, int length)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    memcpy(address.sun_path, path, length);
    int fd = MUST(socket(AF_UNIX, type, 0));
    MUST(connect(fd, (struct sockaddr *)&address, offsetof(struct sockaddr_un, sun_path) + length));
    return fd;
}

int main(void)
{
    char text[100], abstract[50] = "";
    int length = 1 + snprintf(abstract + 1, sizeof abstract - 1, "reprise-test-%d", getpid());
    int listener = named(SOCK_STREAM, "stream", 7), hidden = named(SOCK_STREAM, abstract, length);
    MUST(listen(listener, 8));
    MUST(listen(hidden, 8));
    int early = client_of(SOCK_STREAM, "stream", 7), served = MUST(accept(listener, NULL, NULL));
    int datagram = named(SOCK_DGRAM, "datagram", 9), sender = client_of(SOCK_DGRAM, "datagram", 9);
    CHECK_EQUAL(write(early, "early", 5), 5);
    CHECK_EQUAL(write(sender, "one", 3), 3);
    CHECK_EQUAL(write(sender, "three", 5), 5);

    ready();

    CHECK_EQUAL(read(served, text, sizeof text), 5);
    CHECK_EQUAL(write(served, "hello", 5), 5);
    CHECK_EQUAL(read(early, text, sizeof text), 5);
    client_of(SOCK_STREAM, "stream", 7);
    MUST(accept(listener, NULL, NULL));
    client_of(SOCK_STREAM, abstract, length);
    MUST(accept(hidden, NULL, NULL));
    CHECK_EQUAL(read(datagram, text, sizeof text), 3);
    CHECK_EQUAL(write(sender, "seven..", 7), 7);
    CHECK_EQUAL(read(datagram, text, sizeof text), 5);
    CHECK_EQUAL(read(datagram, text, sizeof text), 7);
    pass();
}
