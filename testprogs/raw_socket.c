// Checks raw sockets: protocol, address, the filter of ICMP, options; what is sent from 127.0.0.1 still comes.
// needs: loopback root
#include "inet.h"

#ifndef ICMP_FILTER
#define ICMP_FILTER 1
#endif

int main(void)
{
    unsigned filter = ~(1u << 8), is = 0;
    socklen_t size = sizeof is;
    unsigned char echo[8] = { 8, 0, 0xf7, 0xff, 0, 0, 0, 0 }, text[100];
    int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
    if (fd < 0)
        skip("raw sockets are for root");
    MUST(setsockopt(fd, SOL_RAW, ICMP_FILTER, &filter, sizeof filter));
    bind_to(fd, loopback(AF_INET));
    set_option(fd, IPPROTO_IP, IP_TTL, 9);
    struct sockaddr_storage at = local_of(fd), to = loopback(AF_INET);
    int own = MUST(socket(AF_INET, SOCK_RAW, 253));
    set_option(own, IPPROTO_IP, IP_HDRINCL, 1);

    ready();

    CHECK_SAME(local_of(fd), at);
    CHECK_EQUAL(option(fd, SOL_SOCKET, SO_PROTOCOL), IPPROTO_ICMP);
    CHECK_EQUAL(option(fd, IPPROTO_IP, IP_TTL), 9);
    MUST(getsockopt(fd, SOL_RAW, ICMP_FILTER, &is, &size));
    CHECK_EQUAL(is, filter);
    CHECK_EQUAL(option(own, SOL_SOCKET, SO_PROTOCOL), 253);
    CHECK_EQUAL(option(own, IPPROTO_IP, IP_HDRINCL), 1);
    MUST(sendto(fd, echo, sizeof echo, 0, (struct sockaddr *)&to, length_of(&to)));
    struct pollfd one = { .fd = fd, .events = POLLIN };
    CHECK(poll(&one, 1, 2000) == 1, "nothing comes");
    CHECK_EQUAL(recv(fd, text, sizeof text, 0), 28);
    CHECK_EQUAL(text[20], 8);
    pass();
}
