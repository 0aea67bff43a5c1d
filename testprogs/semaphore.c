// Checks System V semaphores: values, and a process that waits for one.
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
    change(0, 5, 0);
    pid_t waiter = MUST(fork());
    if (waiter == 0) {
        change(1, -1, 0);
        _exit(0);
    }
    wait_until_in_call(waiter, SYS_semtimedop);

    ready();

    int value = MUST(semctl(id, 1, GETVAL));
    change(1, 1, 0);
    REAP(waiter);
    int kept = semctl(id, 0, GETVAL), taken = semctl(id, 1, GETVAL);
    semctl(id, 0, IPC_RMID);
    CHECK_EQUAL(value, 0);
    CHECK_EQUAL(taken, 0);
    CHECK_EQUAL(kept, 5);
    pass();
}
