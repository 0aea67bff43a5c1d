// Checks a TCP connection with both ends in the job: established, with data queued in both directions.
// needs: loopback
#include "journey.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

int main(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    static char data[30000], back[30000];
    int listener = MUST(socket(AF_INET, SOCK_STREAM, 0)), client = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(bind(listener, (struct sockaddr *)&address, sizeof address));
    MUST(listen(listener, 1));
    MUST(getsockname(listener, (struct sockaddr *)&address, &length));
    MUST(connect(client, (struct sockaddr *)&address, sizeof address));
    int server = MUST(accept(listener, NULL, NULL));
    fill(data, sizeof data, 34);
    CHECK_EQUAL(write(client, data, sizeof data), sizeof data);
    CHECK_EQUAL(write(server, "answer", 6), 6);

    ready();

    CHECK_EQUAL(recv(server, back, sizeof back, MSG_WAITALL), sizeof back);
    CHECK_FILLED(back, sizeof back, 34);
    CHECK_EQUAL(recv(client, back, 6, MSG_WAITALL), 6);
    CHECK(!memcmp(back, "answer", 6), "the answer is %.6s", back);
    CHECK_EQUAL(write(server, "again", 5), 5);
    CHECK_EQUAL(recv(client, back, 5, MSG_WAITALL), 5);
    MUST(shutdown(server, SHUT_WR));
    CHECK_EQUAL(read(client, back, 1), 0);
    pass();
}
