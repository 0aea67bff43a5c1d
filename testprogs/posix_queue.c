// Checks POSIX message queues: attributes, messages with priorities, O_NONBLOCK.
#include "journey.h"
#include <mqueue.h>

int main(void)
{
    char name[50], text[100];
    struct mq_attr attr = { .mq_maxmsg = 7, .mq_msgsize = 100 }, now;
    unsigned priority;
    snprintf(name, sizeof name, "/reprise-test-%d", getpid());
    mqd_t queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK, 0600, &attr);
    if (queue < 0)
        skip("no message queues: %s", strerror(errno));
    MUST(mq_send(queue, "low", 3, 1));
    MUST(mq_send(queue, "high", 4, 30000));
    MUST(mq_send(queue, "middle", 6, 5));

    ready();

    ssize_t n = mq_receive(queue, text, sizeof text, &priority);
    mq_getattr(queue, &now);
    // Nothing may be left behind when a check fails.
    mqd_t by_name = mq_open(name, O_RDONLY);
    mq_unlink(name);
    CHECK(by_name >= 0, "the queue has lost its name");
    CHECK(n == 4 && priority == 30000, "the first message has %zd bytes and priority %u", n, priority);
    CHECK_EQUAL(now.mq_maxmsg, 7);
    CHECK_EQUAL(now.mq_msgsize, 100);
    CHECK_EQUAL(now.mq_curmsgs, 2);
    CHECK_EQUAL(now.mq_flags, O_NONBLOCK);
    CHECK_EQUAL(mq_receive(queue, text, sizeof text, &priority), 6);
    CHECK_EQUAL(mq_receive(queue, text, sizeof text, &priority), 3);
    CHECK(mq_receive(queue, text, sizeof text, &priority) == -1 && errno == EAGAIN, "a message too many");
    pass();
}
