// Has a Unix socket with an out-of-band byte that nobody has read: a checkpoint is refused, and the byte stays.
#include "journey.h"
#include <sys/socket.h>

int main(void)
{
    int ends[2];
    char byte = 0;
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    CHECK_EQUAL(send(ends[0], "ab", 2, 0), 2);
    CHECK_EQUAL(send(ends[0], "!", 1, MSG_OOB), 1);

    ready();

    CHECK_EQUAL(recv(ends[1], &byte, 1, MSG_OOB), 1);
    CHECK_EQUAL(byte, '!');
    pass();
}
