// Checks System V message queues: messages with their types, in order.
#include "journey.h"
#include <sys/ipc.h>
#include <sys/msg.h>

struct message {
    long type;
    char text[2000];
};

int main(void)
{
    struct message message;
    int id = MUST(msgget(IPC_PRIVATE, IPC_CREAT | 0600));
    for (int i = 0; i < 6; i++) {
        message.type = 1 + i % 3;
        fill(message.text, sizeof message.text, i);
        MUST(msgsnd(id, &message, 100 * (size_t)i, IPC_NOWAIT));
    }

    ready();

    static const int order[6] = { 2, 5, 0, 1, 3, 4 };
    for (int i = 0; i < 6; i++) {
        ssize_t n = msgrcv(id, &message, sizeof message.text, i < 2 ? 3 : 0, IPC_NOWAIT);
        int wrong = n != order[i] * 100 || message.type != 1 + order[i] % 3 || differs(message.text, n, order[i]) >= 0;
        if (wrong || i == 5)
            msgctl(id, IPC_RMID, NULL);
        CHECK(!wrong, "message %d has %zd bytes and the type %ld", i, n, message.type);
    }
    pass();
}
