// Checks descriptors that are on their way in a Unix socket (SCM_RIGHTS) and open nowhere else.
#include "journey.h"
#include <sys/socket.h>

int main(void)
{
    int pair[2], end[2];
    char text[20];
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(2 * sizeof(int))];
    } control;
    memset(&control, 0, sizeof control);
    struct iovec part = { "with descriptors", 16 };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    MUST(pipe(end));
    int fd = MUST(open("file", O_RDWR | O_CREAT, 0600));
    CHECK_EQUAL(write(fd, "0123456789", 10), 10);
    MUST(lseek(fd, 6, SEEK_SET));
    CHECK_EQUAL(write(end[1], "in the pipe", 11), 11);
    control.header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(2 * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
    memcpy(CMSG_DATA(&control.header), (int[]){ fd, end[0] }, 2 * sizeof(int));
    CHECK_EQUAL(sendmsg(pair[0], &message, 0), 16);
    close(fd);
    close(end[0]);

    ready();

    int got[2];
    char data[16];
    memset(&control, 0, sizeof control);
    part.iov_base = data;
    message.msg_controllen = sizeof control;
    CHECK_EQUAL(recvmsg(pair[1], &message, 0), 16);
    CHECK(!memcmp(data, "with descriptors", 16), "the data differs");
    CHECK_EQUAL(control.header.cmsg_type, SCM_RIGHTS);
    CHECK_EQUAL(control.header.cmsg_len, CMSG_LEN(2 * sizeof(int)));
    memcpy(got, CMSG_DATA(&control.header), sizeof got);
    CHECK_EQUAL(read(got[0], text, sizeof text), 4);
    CHECK(!memcmp(text, "6789", 4), "the file gives %.4s", text);
    CHECK_EQUAL(read(got[1], text, sizeof text), 11);
    CHECK(!memcmp(text, "in the pipe", 11), "the pipe gives %.11s", text);
    pass();
}
