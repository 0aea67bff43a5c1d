// Checks System V semaphores: the adjustment that the kernel makes when a process ends (SEM_UNDO). No
// interface shows it, so that a checkpoint may refuse or lose it.
// verdict: may be refused
#include "journey.h"
#include <sys/ipc.h>
#include <sys/sem.h>

static int id;

static void change(int number, int by, int flags)
{
    struct sembuf operation = { (unsigned short)number, (short)by, (short)flags };
    int result;
    result = semop(id, &operation, 1);
    if (result < 0) {
        int error = errno;
        semctl(id, 0, IPC_RMID);
        CHECK(0, "semaphore %d by %d: %s", number, by, strerror(error));
    }
}

int main(void)
{
    id = MUST(semget(IPC_PRIVATE, 3, IPC_CREAT | 0600));
    struct gate gate = gate_new();
    change(0, 5, 0);
    pid_t holder = MUST(fork());
    if (holder == 0) {
        change(0, -2, SEM_UNDO);
        gate_arrive(&gate);
        while (access("checked", F_OK))
            doze(5);
        _exit(0);
    }
    gate_collect(&gate, 1);

    ready();

    int value = MUST(semctl(id, 0, GETVAL));
    MUST(close(MUST(open("checked", O_WRONLY | O_CREAT, 0600))));
    REAP(holder);
    int undone = semctl(id, 0, GETVAL);
    semctl(id, 0, IPC_RMID);
    CHECK_EQUAL(value, 3);
    CHECK_EQUAL(undone, 5);
    pass();
}
