// Checks that a datagram which is still being put together (MSG_MORE) is refused, since nothing shows it, and that it goes out whole.
// needs: loopback
#include "inet.h"

int main(void)
{
    char text[20];
    int receiver = MUST(socket(AF_INET, SOCK_DGRAM, 0)), sender = MUST(socket(AF_INET, SOCK_DGRAM, 0));
    bind_to(receiver, loopback(AF_INET));
    connect_to(sender, local_of(receiver));
    MUST(send(sender, "half ", 5, MSG_MORE));

    ready();

    MUST(send(sender, "whole", 5, 0));
    CHECK_EQUAL(recv(receiver, text, sizeof text, MSG_DONTWAIT), 10);
    CHECK(!memcmp(text, "half whole", 10), "the datagram is %.10s", text);
    pass();
}
