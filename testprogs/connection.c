// Checks a connection to a port of this machine that is given as the argument (without one, to a listener of its own). After a restart it
// may be closed, when a policy decided so. What it is goes into the file "state": the harness looks at that.
// needs: loopback
#include "journey.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    int connection = MUST(socket(AF_INET, SOCK_STREAM, 0));
    if (argc > 1) {
        address.sin_port = htons((uint16_t)atoi(argv[1]));
    } else {
        int listener = MUST(socket(AF_INET, SOCK_STREAM, 0));
        MUST(bind(listener, (struct sockaddr *)&address, sizeof address));
        MUST(listen(listener, 1));
        MUST(getsockname(listener, (struct sockaddr *)&address, &length));
    }
    MUST(connect(connection, (struct sockaddr *)&address, sizeof address));
    CHECK_EQUAL(write(connection, "before\n", 7), 7);
    signal(SIGPIPE, SIG_IGN);

    ready();

    const char *word = write(connection, "after\n", 6) == 6 ? "connected" : errno == EBADF ? "closed" : "broken";
    int state = MUST(open("state", O_CREAT | O_WRONLY | O_TRUNC, 0600));
    CHECK_EQUAL(write(state, word, strlen(word)), (ssize_t)strlen(word));
    pass();
}
