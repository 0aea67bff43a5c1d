// Checks the options of UDP sockets: of IP, IPv6 and UDP itself; a filter; multicast groups with sources, and that they still receive.
// needs: loopback
#include "inet.h"
#include <linux/filter.h>
#include <linux/udp.h>

#ifndef UDP_NO_CHECK6_TX
#define UDP_NO_CHECK6_TX 101
#endif
#ifndef IP_MULTICAST_ALL
#define IP_MULTICAST_ALL 49
#endif

static const struct {
    int level, name, value;
} OF_FOUR[] = {
    { SOL_SOCKET, SO_BROADCAST, 1 }, { SOL_SOCKET, SO_PRIORITY, 3 }, { SOL_SOCKET, SO_RCVBUF, 50000 }, { SOL_SOCKET, SO_SNDBUF, 40000 },
    { SOL_SOCKET, SO_NO_CHECK, 1 }, { SOL_SOCKET, SO_TIMESTAMPNS, 1 },
    { IPPROTO_IP, IP_TOS, 0x20 }, { IPPROTO_IP, IP_TTL, 17 }, { IPPROTO_IP, IP_RECVERR, 1 }, { IPPROTO_IP, IP_PKTINFO, 1 },
    { IPPROTO_IP, IP_RECVTTL, 1 }, { IPPROTO_IP, IP_RECVTOS, 1 }, { IPPROTO_IP, IP_RECVOPTS, 1 }, { IPPROTO_IP, IP_FREEBIND, 1 },
    { IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO }, { IPPROTO_IP, IP_MULTICAST_TTL, 9 }, { IPPROTO_IP, IP_MULTICAST_LOOP, 0 },
    { IPPROTO_IP, IP_MULTICAST_ALL, 0 }, { IPPROTO_IP, IP_MINTTL, 2 }, { IPPROTO_UDP, UDP_CORK, 1 }, { IPPROTO_UDP, UDP_SEGMENT, 500 },
    { IPPROTO_UDP, UDP_GRO, 1 },
}, OF_SIX[] = {
    { IPPROTO_IPV6, IPV6_V6ONLY, 1 }, { IPPROTO_IPV6, IPV6_UNICAST_HOPS, 21 }, { IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 5 },
    { IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0 }, { IPPROTO_IPV6, IPV6_MULTICAST_IF, 1 }, { IPPROTO_IPV6, IPV6_RECVPKTINFO, 1 },
    { IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1 }, { IPPROTO_IPV6, IPV6_RECVTCLASS, 1 }, { IPPROTO_IPV6, IPV6_TCLASS, 0x40 },
    { IPPROTO_IPV6, IPV6_RECVERR, 1 }, { IPPROTO_IPV6, IPV6_DONTFRAG, 1 }, { IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO },
    { IPPROTO_UDP, UDP_NO_CHECK6_TX, 1 },
};

#define EACH(i, table) for (size_t i = 0; i < sizeof table / sizeof *table; i++)

static int bound(int family)
{
    int fd = MUST(socket(family, SOCK_DGRAM, 0));
    bind_to(fd, loopback(family));
    return fd;
}

static struct in_addr address(const char *text)
{
    struct in_addr address;
    CHECK(inet_aton(text, &address), "no address: %s", text);
    return address;
}

// Whether what is sent to a group from 127.0.0.1 comes.
static int hears(int fd, const char *group)
{
    char text[10];
    int sender = bound(AF_INET);
    struct ip_mreqn lo = { .imr_ifindex = 1 };
    struct sockaddr_storage at = local_of(fd);
    ((struct sockaddr_in *)&at)->sin_addr = address(group);
    MUST(setsockopt(sender, IPPROTO_IP, IP_MULTICAST_IF, &lo, sizeof lo));
    MUST(sendto(sender, "hear", 4, 0, (struct sockaddr *)&at, length_of(&at)));
    close(sender);
    ssize_t got = recv(fd, text, sizeof text, MSG_DONTWAIT);
    CHECK(got == 4 || (got < 0 && errno == EAGAIN), "%zd bytes from %s", got, group);
    return got == 4;
}

int main(void)
{
    int four = bound(AF_INET), plain = bound(AF_INET), six = -1, group6 = -1;
    int expected[2][sizeof OF_FOUR / sizeof *OF_FOUR];
    EACH(i, OF_FOUR) {
        set_option(four, OF_FOUR[i].level, OF_FOUR[i].name, OF_FOUR[i].value);
        expected[0][i] = option(plain, OF_FOUR[i].level, OF_FOUR[i].name);
    }
    EACH(i, OF_FOUR)
        expected[1][i] = option(four, OF_FOUR[i].level, OF_FOUR[i].name);
    unsigned char record_route[] = { 7, 7, 4, 0, 0, 0, 0, 0 }, now[40];
    int routed = bound(AF_INET);
    MUST(setsockopt(routed, IPPROTO_IP, IP_OPTIONS, record_route, sizeof record_route));

    // Datagrams of one byte do not pass.
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 9, 0, 1), BPF_STMT(BPF_RET | BPF_K, 0), BPF_STMT(BPF_RET | BPF_K, 65535),
    };
    struct sock_fprog filter = { .len = 4, .filter = code };
    int filtered = bound(AF_INET);
    MUST(setsockopt(filtered, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter));

    // Members of groups on the loopback device: all senders, all but one, only one.
    int members[3];
    const char *groups[] = { "239.1.2.3", "239.1.2.4", "239.1.2.5" };
    for (int i = 0; i < 3; i++) {
        members[i] = MUST(socket(AF_INET, SOCK_DGRAM, 0));
        struct sockaddr_storage any = { .ss_family = AF_INET };
        bind_to(members[i], any);
        set_option(members[i], IPPROTO_IP, IP_MULTICAST_ALL, 0);
        struct ip_mreqn join = { .imr_multiaddr = address(groups[i]), .imr_ifindex = 1 };
        struct ip_mreq_source source = { .imr_multiaddr = join.imr_multiaddr, .imr_interface = address("127.0.0.1"), .imr_sourceaddr = address("127.0.0.1") };
        if (i < 2)
            MUST(setsockopt(members[i], IPPROTO_IP, IP_ADD_MEMBERSHIP, &join, sizeof join));
        if (i == 1)
            MUST(setsockopt(members[i], IPPROTO_IP, IP_BLOCK_SOURCE, &source, sizeof source));
        if (i == 2)
            MUST(setsockopt(members[i], IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP, &source, sizeof source));
    }
    CHECK(hears(members[0], groups[0]) && !hears(members[1], groups[1]) && hears(members[2], groups[2]), "multicast does not work here");
    if (has_loopback6()) {
        six = MUST(socket(AF_INET6, SOCK_DGRAM, 0));
        EACH(i, OF_SIX)
            set_option(six, OF_SIX[i].level, OF_SIX[i].name, OF_SIX[i].value);
        bind_to(six, loopback(AF_INET6));
        group6 = MUST(socket(AF_INET6, SOCK_DGRAM, 0));
        struct sockaddr_storage any = { .ss_family = AF_INET6 };
        bind_to(group6, any);
        struct ipv6_mreq join = { .ipv6mr_interface = 1 };
        MUST(inet_pton(AF_INET6, "ff02::1234", &join.ipv6mr_multiaddr));
        MUST(setsockopt(group6, IPPROTO_IPV6, IPV6_JOIN_GROUP, &join, sizeof join));
    }

    ready();

    EACH(i, OF_FOUR) {
        int is = option(four, OF_FOUR[i].level, OF_FOUR[i].name);
        CHECK(is == expected[1][i], "option %d of level %d is %d, was %d", OF_FOUR[i].name, OF_FOUR[i].level, is, expected[1][i]);
        is = option(plain, OF_FOUR[i].level, OF_FOUR[i].name);
        CHECK(is == expected[0][i], "option %d of level %d is %d, was never set from %d", OF_FOUR[i].name, OF_FOUR[i].level, is, expected[0][i]);
    }
    socklen_t size = sizeof now;
    MUST(getsockopt(routed, IPPROTO_IP, IP_OPTIONS, now, &size));
    CHECK(size == sizeof record_route && !memcmp(now, record_route, 3), "IP options of %u bytes", size);
    struct sockaddr_storage at = local_of(filtered);
    MUST(sendto(plain, "1", 1, 0, (struct sockaddr *)&at, length_of(&at)));
    MUST(sendto(plain, "22", 2, 0, (struct sockaddr *)&at, length_of(&at)));
    CHECK_EQUAL(recv(filtered, now, sizeof now, MSG_DONTWAIT), 2);
    CHECK(recv(filtered, now, sizeof now, MSG_DONTWAIT) < 0, "the filter lets everything pass");
    CHECK(hears(members[0], groups[0]), "it is no member of the first group");
    CHECK(!hears(members[0], groups[1]), "it is a member of another group");
    CHECK(!hears(members[1], groups[1]), "a blocked source is heard");
    CHECK(hears(members[2], groups[2]), "a source of its own is not heard");
    struct ip_mreqn leave = { .imr_multiaddr = address(groups[1]), .imr_ifindex = 1 };
    MUST(setsockopt(members[1], IPPROTO_IP, IP_DROP_MEMBERSHIP, &leave, sizeof leave));
    if (six >= 0) {
        EACH(i, OF_SIX) {
            int is = option(six, OF_SIX[i].level, OF_SIX[i].name);
            CHECK(is == OF_SIX[i].value, "option %d of level %d is %d, was %d", OF_SIX[i].name, OF_SIX[i].level, is, OF_SIX[i].value);
        }
        // Multicast has no route on the loopback device; who is no member cannot leave.
        struct ipv6_mreq leave = { .ipv6mr_interface = 1 };
        MUST(inet_pton(AF_INET6, "ff02::1234", &leave.ipv6mr_multiaddr));
        MUST(setsockopt(group6, IPPROTO_IPV6, IPV6_LEAVE_GROUP, &leave, sizeof leave));
    }
    pass();
}
