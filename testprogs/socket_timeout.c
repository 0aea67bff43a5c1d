// Checks processes blocked in calls on sockets with time limits, and in io_getevents: a signal interrupts them, but no
// checkpoint, which is refused for the sockets.
#include "kick.h"
#include <linux/aio_abi.h>
#include <sys/socket.h>
#include <sys/uio.h>

static int pair[2], full;
static char buffer[65536];
static struct iovec piece = { buffer, sizeof buffer };
static struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };

static void in_read(void)
{
    CHECK_KICKED(syscall(SYS_read, pair[0], buffer, 1L));
}

static void in_readv(void)
{
    CHECK_KICKED(syscall(SYS_readv, pair[0], &piece, 1L));
}

static void in_recvfrom(void)
{
    CHECK_KICKED(syscall(SYS_recvfrom, pair[0], buffer, 1L, 0L, NULL, NULL));
}

static void in_recvmsg(void)
{
    CHECK_KICKED(syscall(SYS_recvmsg, pair[0], &message, 0L));
}

static void in_write(void)
{
    CHECK_KICKED(syscall(SYS_write, full, buffer, 1L));
}

static void in_sendmsg(void)
{
    CHECK_KICKED(syscall(SYS_sendmsg, full, &message, 0L));
}

static void in_io_getevents(void)
{
    aio_context_t context = 0;
    struct io_event event;
    MUST(syscall(SYS_io_setup, 1, &context));
    CHECK_KICKED(syscall(SYS_io_getevents, context, 1L, 1L, &event, NULL));
}

int main(void)
{
    int other[2];
    struct timeval hour = { 3600, 0 };
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, other));
    full = other[0];
    MUST(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &hour, sizeof hour));
    while (send(full, buffer, sizeof buffer, MSG_DONTWAIT) > 0) { }
    MUST(setsockopt(full, SOL_SOCKET, SO_SNDTIMEO, &hour, sizeof hour));
    pid_t children[] = {
        blocked_child(in_read, SYS_read),         blocked_child(in_readv, SYS_readv),
        blocked_child(in_recvfrom, SYS_recvfrom), blocked_child(in_recvmsg, SYS_recvmsg),
        blocked_child(in_write, SYS_write),       blocked_child(in_sendmsg, SYS_sendmsg),
        blocked_child(in_io_getevents, SYS_io_getevents),
    };

    ready();

    for (size_t i = 0; i < sizeof children / sizeof *children; i++)
        REAP(children[i]);
    pass();
}
