// Checks System V message queues: messages with their types and sizes in order, key, mode and limit, who used it last, a full queue with a sender
// that waits, and an empty one with a receiver that waits for a type.
#include "journey.h"
#include <sys/ipc.h>
#include <sys/msg.h>

struct message {
    long type;
    char text[2000];
};

static pid_t in_child(int id, long type, int send)
{
    pid_t pid = MUST(fork());
    if (pid == 0) {
        struct message message = { .type = type };
        if (send)
            MUST(msgsnd(id, &message, 700, 0));
        else
            CHECK_EQUAL(msgrcv(id, &message, sizeof message.text, type, 0), 5);
        _exit(0);
    }
    wait_until_in_call(pid, send ? SYS_msgsnd : SYS_msgrcv);
    return pid;
}

int main(void)
{
    struct message message = { 0 };
    struct msqid_ds before, ds;
    key_t key = 0x52000000 + getpid();
    int id = MUST(msgget(key, IPC_CREAT | IPC_EXCL | 0640)), full = MUST(msgget(IPC_PRIVATE, 0600)), empty = MUST(msgget(IPC_PRIVATE, 0600));
    for (int i = 0; i < 6; i++) {
        message.type = i == 5 ? 0x7fffffffffffL : 1 + i % 3;
        fill(message.text, sizeof message.text, i);
        MUST(msgsnd(id, &message, 100 * (size_t)i, IPC_NOWAIT));
    }
    // One has been received.
    message.type = 77;
    MUST(msgsnd(id, &message, 10, IPC_NOWAIT));
    CHECK_EQUAL(msgrcv(id, &message, sizeof message.text, 77, IPC_NOWAIT), 10);
    MUST(msgctl(full, IPC_STAT, &ds));
    ds.msg_qbytes = 2000;
    MUST(msgctl(full, IPC_SET, &ds));
    message.type = 1;
    MUST(msgsnd(full, &message, 1500, 0));
    // The limit may be lowered below what is in it.
    MUST(msgctl(id, IPC_STAT, &before));
    before.msg_qbytes = 1400;
    MUST(msgctl(id, IPC_SET, &before));
    pid_t sender = in_child(full, 9, 1), receiver = in_child(empty, 5, 0);

    ready();

    MUST(msgctl(id, IPC_STAT, &ds));
    CHECK_EQUAL(msgget(key, 0), id);
    CHECK_EQUAL(ds.msg_qnum, 6);
    CHECK_EQUAL(ds.msg_qbytes, 1400);
    CHECK_EQUAL(ds.msg_cbytes, 1500);
    CHECK_EQUAL(ds.msg_perm.mode & 0777, 0640);
    CHECK_EQUAL(ds.msg_perm.__key, key);
    CHECK_EQUAL(ds.msg_perm.cuid, before.msg_perm.cuid);
    CHECK_EQUAL(ds.msg_lrpid, getpid());
    CHECK_EQUAL(ds.msg_lspid, getpid());
    static const int order[6] = { 2, 0, 1, 3, 4, 5 };
    for (int i = 0; i < 6; i++) {
        ssize_t n = msgrcv(id, &message, sizeof message.text, i < 1 ? 3 : 0, IPC_NOWAIT);
        long type = order[i] == 5 ? 0x7fffffffffffL : 1 + order[i] % 3;
        CHECK(n == order[i] * 100 && message.type == type, "message %d has %zd bytes and the type %ld", i, n, message.type);
        CHECK_FILLED(message.text, (size_t)n, order[i]);
    }
    MUST(msgctl(full, IPC_STAT, &ds));
    CHECK_EQUAL(ds.msg_qbytes, 2000);
    CHECK_EQUAL(ds.msg_qnum, 1);
    CHECK_EQUAL(ds.msg_lspid, getpid());
    CHECK_EQUAL(msgrcv(full, &message, sizeof message.text, 1, 0), 1500);
    CHECK_EQUAL(msgrcv(full, &message, sizeof message.text, 9, 0), 700);
    REAP(sender);
    message.type = 4;
    MUST(msgsnd(empty, &message, 3, 0));
    message.type = 5;
    MUST(msgsnd(empty, &message, 5, 0));
    REAP(receiver);
    CHECK_EQUAL(msgrcv(empty, &message, sizeof message.text, 0, IPC_NOWAIT), 3);
    MUST(msgctl(id, IPC_RMID, NULL));
    MUST(msgctl(full, IPC_RMID, NULL));
    MUST(msgctl(empty, IPC_RMID, NULL));
    pass();
}
