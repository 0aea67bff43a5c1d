// Checks what is on its way in Unix sockets: descriptors of files, pipes and sockets that hold descriptors themselves, circles, the socket
// itself, several to a message and several messages, by stream and datagram; credentials, of the process and of a child.
#include "journey.h"
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define MOST 4

static void pass_on(int via, const char *text, const int *fds, int n)
{
    char control[CMSG_SPACE(MOST * sizeof(int))] = { 0 };
    struct iovec part = { (void *)text, strlen(text) };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(n * sizeof(int)) };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(n * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
    memcpy(CMSG_DATA(header), fds, n * sizeof(int));
    CHECK_EQUAL(sendmsg(via, &message, 0), (ssize_t)strlen(text));
}

static int take(int via, const char *text, int *fds)
{
    char control[CMSG_SPACE(MOST * sizeof(int))] = { 0 }, data[64] = "";
    struct iovec part = { data, strlen(text) };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
    CHECK_EQUAL(recvmsg(via, &message, MSG_DONTWAIT), (ssize_t)strlen(text));
    CHECK(!strcmp(data, text), "%s came instead of %s", data, text);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (!header)
        return 0;
    CHECK_EQUAL(header->cmsg_type, SCM_RIGHTS);
    int n = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(fds, CMSG_DATA(header), n * sizeof(int));
    return n;
}

static struct ucred sender_of(int via, const char *text)
{
    char control[CMSG_SPACE(sizeof(struct ucred))] = { 0 }, data[64] = "";
    struct iovec part = { data, sizeof data - 1 };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
    struct ucred sender;
    CHECK_EQUAL(recvmsg(via, &message, MSG_DONTWAIT), (ssize_t)strlen(text));
    CHECK(!strcmp(data, text), "%s came instead of %s", data, text);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    CHECK(header && header->cmsg_type == SCM_CREDENTIALS, "nobody has sent %s", text);
    memcpy(&sender, CMSG_DATA(header), sizeof sender);
    return sender;
}

static ino_t inode(int fd)
{
    struct stat found;
    MUST(fstat(fd, &found));
    return found.st_ino;
}

int main(void)
{
    int outer[2], inner[2], circle[2], letters[2], told[2], end[2], got[MOST], on = 1;
    char text[32];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, outer));
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, inner));
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, circle));
    MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, letters));
    MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, told));
    MUST(pipe(end));
    CHECK_EQUAL(write(end[1], "pipe", 4), 4);

    // A file in a socket in a socket, both open nowhere else.
    int fd = MUST(open("file", O_RDWR | O_CREAT, 0600));
    CHECK_EQUAL(write(fd, "0123456789", 10), 10);
    MUST(lseek(fd, 3, SEEK_SET));
    pass_on(inner[0], "file", &fd, 1);
    close(fd);
    CHECK_EQUAL(write(outer[0], "plain", 5), 5);
    pass_on(outer[0], "sockets", inner, 2);
    close(inner[0]);
    close(inner[1]);
    pass_on(outer[0], "pipe", end, 2);
    close(end[0]);
    close(end[1]);

    // Each end carries both, and one of them is open no more.
    pass_on(circle[0], "both", circle, 2);
    pass_on(circle[1], "self", &circle[1], 1);
    close(circle[0]);

    // Messages keep theirs apart.
    pass_on(letters[0], "one", &outer[1], 1);
    CHECK_EQUAL(write(letters[0], "none", 4), 4);
    pass_on(letters[0], "two", letters, 2);

    MUST(setsockopt(told[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
    CHECK_EQUAL(write(told[0], "parent", 6), 6);
    int hold[2];
    MUST(pipe(hold));
    pid_t child = MUST(fork());
    if (child == 0) {
        close(hold[1]);
        CHECK_EQUAL(write(told[0], "child", 5), 5);
        CHECK_EQUAL(read(hold[0], text, 1), 0);
        _exit(0);
    }
    wait_until_in_call(child, SYS_read);

    ready();

    CHECK_EQUAL(take(outer[1], "plain", got), 0);
    CHECK_EQUAL(take(outer[1], "sockets", got), 2);
    int from = got[0], to = got[1];
    CHECK_EQUAL(take(to, "file", got), 1);
    CHECK_EQUAL(read(got[0], text, sizeof text), 7);
    CHECK(!memcmp(text, "3456789", 7), "the file gives %.7s", text);
    CHECK_EQUAL(write(from, "!", 1), 1);
    CHECK_EQUAL(read(to, text, sizeof text), 1);
    CHECK_EQUAL(take(outer[1], "pipe", got), 2);
    CHECK_EQUAL(read(got[0], text, sizeof text), 4);

    CHECK_EQUAL(take(circle[1], "both", got), 2);
    CHECK_EQUAL(inode(got[1]), inode(circle[1]));
    int other = got[0];
    CHECK_EQUAL(take(other, "self", got), 1);
    CHECK_EQUAL(inode(got[0]), inode(circle[1]));
    CHECK_EQUAL(write(other, "around", 6), 6);
    CHECK_EQUAL(read(circle[1], text, sizeof text), 6);

    CHECK_EQUAL(take(letters[1], "one", got), 1);
    CHECK_EQUAL(inode(got[0]), inode(outer[1]));
    CHECK_EQUAL(take(letters[1], "none", got), 0);
    CHECK_EQUAL(take(letters[1], "two", got), 2);
    CHECK_EQUAL(inode(got[1]), inode(letters[1]));

    struct ucred parent = sender_of(told[1], "parent"), young = sender_of(told[1], "child");
    CHECK_EQUAL(parent.uid, getuid());
    CHECK_EQUAL(young.gid, getgid());
    if (!pids_are_new() && strcmp(journey(), "unprivileged")) {
        CHECK_EQUAL(parent.pid, getpid());
        CHECK_EQUAL(young.pid, child);
    }
    close(hold[1]);
    REAP(child);
    pass();
}
