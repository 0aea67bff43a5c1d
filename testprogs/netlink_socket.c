// Checks netlink sockets: port ids chosen and given, multicast groups, options, a connected one; they still ask and hear.
#include "journey.h"
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

static struct sockaddr_nl name_of(int fd)
{
    struct sockaddr_nl name;
    socklen_t size = sizeof name;
    MUST(getsockname(fd, (struct sockaddr *)&name, &size));
    return name;
}

static unsigned groups_of(int fd)
{
    unsigned bits[32] = { 0 };
    socklen_t size = sizeof bits;
    MUST(getsockopt(fd, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, bits, &size));
    return bits[0];
}

// Asks for the list of devices; the loopback device is among them.
static void ask(int fd)
{
    static char answer[65536];
    struct {
        struct nlmsghdr head;
        struct rtgenmsg body;
    } request = { { sizeof request, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 1, 0 }, { AF_UNSPEC } };
    MUST(send(fd, &request, sizeof request, 0));
    for (int devices = 0;;) {
        int left = MUST(recv(fd, answer, sizeof answer, 0));
        for (struct nlmsghdr *head = (struct nlmsghdr *)answer; NLMSG_OK(head, (unsigned)left); head = NLMSG_NEXT(head, left)) {
            if (head->nlmsg_type == NLMSG_DONE) {
                CHECK(devices > 0, "there is no device");
                return;
            }
            CHECK_EQUAL(head->nlmsg_type, RTM_NEWLINK);
            devices++;
        }
    }
}

int main(void)
{
    int on = 1, is;
    socklen_t size = sizeof is;
    int plain = MUST(socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, NETLINK_ROUTE)), member = MUST(socket(AF_NETLINK, SOCK_DGRAM, NETLINK_ROUTE));
    int chosen = MUST(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE)), events = MUST(socket(AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT));
    struct sockaddr_nl name = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR }, kernel = { .nl_family = AF_NETLINK };
    MUST(bind(member, (struct sockaddr *)&name, sizeof name));
    name = (struct sockaddr_nl){ .nl_family = AF_NETLINK, .nl_pid = 0x40000000 | (unsigned)getpid() };
    MUST(bind(chosen, (struct sockaddr *)&name, sizeof name));
    MUST(connect(chosen, (struct sockaddr *)&kernel, sizeof kernel));
    MUST(setsockopt(chosen, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on));
    MUST(setsockopt(chosen, SOL_NETLINK, NETLINK_PKTINFO, &on, sizeof on));
    struct sockaddr_nl all = { .nl_family = AF_NETLINK };
    MUST(bind(events, (struct sockaddr *)&all, sizeof all));
    struct sockaddr_nl member_was = name_of(member), chosen_was = name_of(chosen), events_was = name_of(events);
    ask(chosen);

    ready();

    CHECK_EQUAL(name_of(plain).nl_pid, 0);
    CHECK(fcntl(plain, F_GETFL) & O_NONBLOCK, "O_NONBLOCK is lost");
    CHECK_EQUAL(name_of(member).nl_pid, member_was.nl_pid);
    CHECK_EQUAL(groups_of(member), (1u << (RTNLGRP_LINK - 1)) | (1u << (RTNLGRP_IPV4_IFADDR - 1)));
    CHECK_EQUAL(name_of(chosen).nl_pid, chosen_was.nl_pid);
    CHECK_EQUAL(name_of(events).nl_pid, events_was.nl_pid);
    MUST(getsockopt(chosen, SOL_NETLINK, NETLINK_EXT_ACK, &is, &size));
    CHECK_EQUAL(is, 1);
    MUST(getsockopt(chosen, SOL_NETLINK, NETLINK_PKTINFO, &is, &size));
    CHECK_EQUAL(is, 1);
    ask(chosen);
    fcntl(plain, F_SETFL, 0);
    ask(plain);
    pass();
}
