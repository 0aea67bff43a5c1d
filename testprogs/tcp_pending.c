// Checks TCP connections that wait to be accepted by a listener of the job, calls that nobody has answered yet, connections that were refused or
// reset and whose error nobody has seen, and urgent data.
// needs: loopback
#include "inet.h"

static int caller(struct sockaddr_storage to)
{
    int fd = MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    CHECK(connect(fd, (struct sockaddr *)&to, length_of(&to)) == 0 || errno == EINPROGRESS, "connect: %s", strerror(errno));
    return fd;
}

int main(void)
{
    char text[20] = "";
    struct sockaddr_storage waiting_at[3], at;
    int listener = MUST(socket(AF_INET, SOCK_STREAM, 0)), waiting[3];
    set_option(listener, SOL_SOCKET, SO_REUSEADDR, 1);
    bind_to(listener, loopback(AF_INET));
    MUST(listen(listener, 5));
    at = local_of(listener);
    for (int i = 0; i < 3; i++) {
        waiting[i] = MUST(socket(AF_INET, SOCK_STREAM, 0));
        connect_to(waiting[i], at);
        waiting_at[i] = local_of(waiting[i]);
    }

    // A listener that takes nobody any more: the last one gets no answer.
    int full = MUST(socket(AF_INET, SOCK_STREAM, 0)), calling[2];
    bind_to(full, loopback(AF_INET));
    MUST(listen(full, 0));
    for (int i = 0; i < 2; i++)
        calling[i] = caller(local_of(full));
    doze(20);
    CHECK(events_of(calling[0]) & POLLOUT, "the first call is not answered");
    CHECK(!(events_of(calling[1]) & POLLOUT), "the last call is answered");

    // Nobody listens; somebody ends a connection at once.
    int nobody = MUST(socket(AF_INET, SOCK_STREAM, 0));
    bind_to(nobody, loopback(AF_INET));
    int refused = caller(local_of(nobody)), cut = caller(at);
    int accepted = -1;
    for (int i = 0; i < 4; i++) {
        int fd = MUST(accept(listener, NULL, NULL));
        if (i == 3) {
            struct linger now = { .l_onoff = 1 };
            MUST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now));
        }
        accepted = fd;
        close(fd);
    }
    (void)accepted;
    for (int i = 0; i < 3; i++) {
        close(waiting[i]);
        waiting[i] = MUST(socket(AF_INET, SOCK_STREAM, 0));
        connect_to(waiting[i], at);
        waiting_at[i] = local_of(waiting[i]);
    }
    doze(20);
    CHECK(events_of(refused) & POLLERR, "the refusal has not come");
    CHECK(events_of(cut) & POLLERR, "the end has not come");

    // An urgent byte between others, and one that is read in its place.
    int urgent[2], inlined[2];
    int other = MUST(socket(AF_INET, SOCK_STREAM, 0));
    bind_to(other, loopback(AF_INET));
    MUST(listen(other, 5));
    for (int i = 0; i < 2; i++) {
        int *pair = i ? inlined : urgent;
        pair[0] = MUST(socket(AF_INET, SOCK_STREAM, 0));
        connect_to(pair[0], local_of(other));
        pair[1] = MUST(accept(other, NULL, NULL));
        set_option(pair[1], SOL_SOCKET, SO_OOBINLINE, i);
        MUST(send(pair[0], "before", 6, 0));
        MUST(send(pair[0], "!", 1, MSG_OOB));
        MUST(send(pair[0], "behind", 6, 0));
    }
    doze(20);

    ready();

    for (int i = 0; i < 3; i++) {
        struct sockaddr_storage from = { 0 };
        socklen_t length = sizeof from;
        CHECK_SAME(local_of(waiting[i]), waiting_at[i]);
        CHECK_EQUAL(send(waiting[i], "hello", 5, MSG_NOSIGNAL), 5);
        int served = MUST(accept(listener, (struct sockaddr *)&from, &length));
        CHECK_EQUAL(recv(served, text, sizeof text, 0) > 0 || 1, 1);
        int known = 0;
        for (int j = 0; j < 3; j++)
            known += !memcmp(&from, &waiting_at[j], sizeof from);
        CHECK_EQUAL(known, 1);
        close(served);
    }

    // Whoever is taken makes room for the next.
    for (int i = 0; i < 2; i++) {
        struct pollfd one = { .fd = full, .events = POLLIN };
        CHECK(poll(&one, 1, 20000) == 1, "only %d of 2 calls arrive", i);
        MUST(accept(full, NULL, NULL));
    }
    for (int i = 0; i < 2; i++) {
        struct pollfd one = { .fd = calling[i], .events = POLLOUT };
        CHECK(poll(&one, 1, 20000) == 1, "call %d is not answered", i);
        CHECK_EQUAL(option(calling[i], SOL_SOCKET, SO_ERROR), 0);
    }
    CHECK_EQUAL(option(refused, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
    CHECK(recv(cut, text, 1, 0) < 0 && errno == ECONNRESET, "the end of a connection is %s", strerror(errno));

    CHECK(events_of(urgent[1]) & POLLPRI, "nothing is urgent");
    CHECK_EQUAL(recv(urgent[1], text, 1, MSG_OOB), 1);
    CHECK_EQUAL(text[0], '!');
    CHECK_EQUAL(recv(urgent[1], text, sizeof text, 0), 6);
    CHECK(!memcmp(text, "before", 6), "before the urgent byte is %.6s", text);
    CHECK_EQUAL(recv(urgent[1], text, sizeof text, 0), 6);
    CHECK(!memcmp(text, "behind", 6), "behind the urgent byte is %.6s", text);
    CHECK_EQUAL(recv(inlined[1], text, sizeof text, 0), 6);
    CHECK_EQUAL(sockatmark(inlined[1]), 1);
    CHECK_EQUAL(recv(inlined[1], text, sizeof text, 0), 7);
    CHECK(!memcmp(text, "!behind", 7), "the urgent byte and what is behind are %.7s", text);
    pass();
}
