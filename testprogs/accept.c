// Checks a process blocked in accept on a Unix socket with a name: a client that comes afterwards is served.
#include "journey.h"
#include <sys/socket.h>
#include <sys/un.h>

int main(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "socket" };
    char text[10];
    int listener = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    MUST(bind(listener, (struct sockaddr *)&address, sizeof address));
    MUST(listen(listener, 5));
    pid_t pid = MUST(fork());
    if (pid == 0) {
        int fd = accept(listener, NULL, NULL);
        CHECK(fd >= 0, "accept: %s", strerror(errno));
        CHECK_EQUAL(read(fd, text, sizeof text), 4);
        CHECK_EQUAL(write(fd, "pong", 4), 4);
        _exit(0);
    }
    wait_until_in_call(pid, SYS_accept);

    ready();

    int client = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    MUST(connect(client, (struct sockaddr *)&address, sizeof address));
    CHECK_EQUAL(write(client, "ping", 4), 4);
    CHECK_EQUAL(read(client, text, sizeof text), 4);
    REAP(pid);
    pass();
}
