// Checks POSIX message queues: limits, messages with priorities and sizes, O_NONBLOCK of each description, mode; one whose name has been removed; a full
// one with a sender that waits, an empty one with a receiver that waits; who is told of the first message, by a signal or not at all.
#include "journey.h"
#include <mqueue.h>

static char name[5][60];
static volatile sig_atomic_t told;

static void on_signal(int signal)
{
    (void)signal;
    told++;
}

static mqd_t make(int number, int flags, long messages, long bytes)
{
    struct mq_attr attr = { .mq_maxmsg = messages, .mq_msgsize = bytes };
    snprintf(name[number], sizeof name[number], "/reprise-test-%d-%d", getpid(), number);
    mqd_t queue = mq_open(name[number], O_RDWR | O_CREAT | O_EXCL | flags, 0640, &attr);
    if (queue < 0)
        skip("no message queues: %s", strerror(errno));
    return queue;
}

static void check_message(mqd_t queue, const char *text, unsigned priority)
{
    char got[200];
    unsigned now = 0;
    ssize_t n = mq_receive(queue, got, sizeof got, &now);
    CHECK(n == (ssize_t)strlen(text) && now == priority && !memcmp(got, text, (size_t)n),
        "a message of %zd bytes and priority %u, expected \"%s\" and %u (%s)", n, now, text, priority, strerror(errno));
}

int main(void)
{
    struct mq_attr now;
    struct stat before, after;
    signal(SIGUSR1, on_signal);
    mqd_t queue = make(0, O_NONBLOCK, 7, 100), deleted = make(1, 0, 3, 20), full = make(2, 0, 1, 10), empty = make(3, 0, 10, 10);
    mqd_t watched = make(4, O_NONBLOCK, 4, 10), reader = MUST(mq_open(name[0], O_RDONLY));
    MUST(fchmod(queue, 0604));
    MUST(fstat(queue, &before));
    MUST(mq_send(queue, "low", 3, 1));
    MUST(mq_send(queue, "high", 4, 30000));
    MUST(mq_send(queue, "middle", 6, 5));
    MUST(mq_send(queue, "lower", 5, 1));
    MUST(mq_send(queue, "", 0, 0));
    MUST(mq_send(deleted, "kept", 4, 0));
    MUST(mq_unlink(name[1]));
    MUST(mq_send(full, "first", 5, 3));
    pid_t sender = MUST(fork());
    if (sender == 0) {
        MUST(mq_send(full, "second", 6, 4));
        _exit(0);
    }
    pid_t receiver = MUST(fork());
    if (receiver == 0) {
        check_message(empty, "awaited", 2);
        _exit(0);
    }
    wait_until_in_call(sender, SYS_mq_timedsend);
    wait_until_in_call(receiver, SYS_mq_timedreceive);
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 }, none = { .sigev_notify = SIGEV_NONE };
    MUST(mq_notify(watched, &event));
    MUST(mq_notify(queue, &none));

    ready();

    CHECK_EQUAL(told, 0);
    MUST(fstat(queue, &after));
    CHECK_EQUAL(after.st_mode, before.st_mode);
    CHECK_EQUAL(after.st_uid, before.st_uid);
    MUST(mq_getattr(reader, &now));
    CHECK_EQUAL(now.mq_flags, 0);
    MUST(mq_getattr(queue, &now));
    CHECK_EQUAL(now.mq_flags, O_NONBLOCK);
    CHECK_EQUAL(now.mq_maxmsg, 7);
    CHECK_EQUAL(now.mq_msgsize, 100);
    CHECK_EQUAL(now.mq_curmsgs, 5);
    mqd_t by_name = MUST(mq_open(name[0], O_RDONLY));
    check_message(by_name, "high", 30000);
    check_message(reader, "middle", 5);
    check_message(queue, "low", 1);
    check_message(queue, "lower", 1);
    check_message(queue, "", 0);
    CHECK(mq_receive(queue, (char[100]){ 0 }, 100, NULL) == -1 && errno == EAGAIN, "a message too many");
    CHECK(mq_open(name[1], O_RDONLY) == -1 && errno == ENOENT, "a removed name has come back");
    check_message(deleted, "kept", 0);
    check_message(full, "first", 3);
    REAP(sender);
    check_message(full, "second", 4);
    MUST(mq_send(empty, "awaited", 7, 2));
    REAP(receiver);
    CHECK(mq_notify(queue, &event) == -1 && errno == EBUSY, "nobody is registered any more");
    MUST(mq_send(watched, "x", 1, 0));
    CHECK_EQUAL(told, 1);
    MUST(mq_notify(watched, &event));
    for (int i = 0; i < 5; i++)
        if (i != 1)
            MUST(mq_unlink(name[i]));
    pass();
}
