// What the programs about Internet sockets share: addresses, options, a readable socket.
#ifndef INET_H
#define INET_H
#include "journey.h"
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define LEN(a) ((socklen_t)sizeof(a))

// 127.0.0.1 or ::1, any port.
HELPER struct sockaddr_storage loopback(int family)
{
    struct sockaddr_storage any = { 0 };
    if (family == AF_INET)
        *(struct sockaddr_in *)&any = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    else
        *(struct sockaddr_in6 *)&any = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    return any;
}

HELPER socklen_t length_of(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

HELPER struct sockaddr_storage local_of(int fd)
{
    struct sockaddr_storage address = { 0 };
    socklen_t length = sizeof address;
    MUST(getsockname(fd, (struct sockaddr *)&address, &length));
    return address;
}

HELPER struct sockaddr_storage peer_of(int fd)
{
    struct sockaddr_storage address = { 0 };
    socklen_t length = sizeof address;
    MUST(getpeername(fd, (struct sockaddr *)&address, &length));
    return address;
}

#define CHECK_SAME(now, before) \
    do { \
        struct sockaddr_storage now_ = (now), before_ = (before); \
        CHECK(!memcmp(&now_, &before_, sizeof now_), "%s is not %s", #now, #before); \
    } while (0)

HELPER void bind_to(int fd, struct sockaddr_storage address)
{
    MUST(bind(fd, (struct sockaddr *)&address, length_of(&address)));
}

HELPER void connect_to(int fd, struct sockaddr_storage address)
{
    MUST(connect(fd, (struct sockaddr *)&address, length_of(&address)));
}

HELPER int option(int fd, int level, int name)
{
    int value = 0;
    socklen_t size = sizeof value;
    MUST(getsockopt(fd, level, name, &value, &size));
    return value;
}

HELPER void set_option(int fd, int level, int name, int value)
{
    MUST(setsockopt(fd, level, name, &value, sizeof value));
}

HELPER int amount(int fd, unsigned long request)
{
    int value = 0;
    MUST(ioctl(fd, request, &value));
    return value;
}

HELPER short events_of(int fd)
{
    struct pollfd poll_ = { .fd = fd, .events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP };
    MUST(poll(&poll_, 1, 0));
    return poll_.revents;
}

HELPER int has_loopback6(void)
{
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    struct sockaddr_storage address = loopback(AF_INET6);
    int works = fd >= 0 && !bind(fd, (struct sockaddr *)&address, length_of(&address));
    if (fd >= 0)
        close(fd);
    return works;
}

#endif
