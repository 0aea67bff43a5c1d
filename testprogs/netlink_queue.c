// Checks that a netlink socket whose answer nobody has read is refused, and that the answer is still there.
#include "journey.h"
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

int main(void)
{
    static char answer[65536];
    int fd = MUST(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
    struct {
        struct nlmsghdr head;
        struct rtgenmsg body;
    } request = { { sizeof request, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 1, 0 }, { AF_UNSPEC } };
    MUST(send(fd, &request, sizeof request, 0));

    ready();

    CHECK(MUST(recv(fd, answer, sizeof answer, 0)) > 0, "there is no answer");
    CHECK_EQUAL(((struct nlmsghdr *)answer)->nlmsg_type, RTM_NEWLINK);
    pass();
}
