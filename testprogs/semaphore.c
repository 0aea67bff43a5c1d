// Checks System V semaphores: values, key, owner and mode, who operated last, and processes that wait for one, for zero, and for several at once.
#include "journey.h"
#include <sys/ipc.h>
#include <sys/sem.h>

static int id;

static void change(int number, int by, int flags)
{
    struct sembuf operation = { (unsigned short)number, (short)by, (short)flags };
    CHECK(semop(id, &operation, 1) == 0, "semaphore %d by %d: %s", number, by, strerror(errno));
}

static pid_t waiting(struct sembuf *operations, int count)
{
    pid_t pid = MUST(fork());
    if (pid == 0) {
        CHECK(semop(id, operations, (size_t)count) == 0, "waiting for semaphores: %s", strerror(errno));
        _exit(0);
    }
    wait_until_in_call(pid, SYS_semtimedop);
    return pid;
}

int main(void)
{
    key_t key = 0x52000000 + getpid();
    id = MUST(semget(key, 6, IPC_CREAT | IPC_EXCL | 0620));
    int fresh = MUST(semget(IPC_PRIVATE, 2, 0600));
    struct semid_ds before, ds;
    change(0, 5, 0);
    MUST(semctl(id, 3, SETVAL, 1));
    MUST(semctl(id, 5, SETVAL, 32767));
    MUST(semctl(fresh, 1, SETVAL, 9));
    change(4, 3, 0);
    MUST(semctl(id, 0, IPC_STAT, &before));
    struct sembuf lower = { 1, -1, 0 }, zero = { 3, 0, 0 }, both[] = { { 4, -2, 0 }, { 2, -7, 0 } };
    pid_t waiter = waiting(&lower, 1), for_zero = waiting(&zero, 1), for_both = waiting(both, 2);

    ready();

    unsigned short values[6], expected[6] = { 5, 0, 0, 1, 3, 32767 };
    MUST(semctl(id, 0, GETALL, values));
    for (int i = 0; i < 6; i++)
        CHECK(values[i] == expected[i], "semaphore %d is %d, was %d", i, values[i], expected[i]);
    MUST(semctl(id, 0, IPC_STAT, &ds));
    CHECK_EQUAL(semget(key, 0, 0), id);
    CHECK_EQUAL(ds.sem_nsems, 6);
    CHECK_EQUAL(ds.sem_perm.mode & 0777, 0620);
    CHECK_EQUAL(ds.sem_perm.__key, key);
    CHECK_EQUAL(ds.sem_perm.uid, before.sem_perm.uid);
    CHECK_EQUAL(ds.sem_perm.cuid, before.sem_perm.cuid);
    CHECK_EQUAL(ds.sem_otime != 0, 1);
    // Waiting for zero leaves no trace before it is over.
    CHECK_EQUAL(semctl(id, 0, GETPID), getpid());
    CHECK_EQUAL(semctl(id, 3, GETPID), getpid());
    CHECK_EQUAL(semctl(id, 1, GETPID), 0);
    CHECK_EQUAL(semctl(fresh, 1, GETVAL), 9);
    MUST(semctl(fresh, 0, IPC_STAT, &ds));
    CHECK_EQUAL(ds.sem_otime, 0);
    change(1, 1, 0);
    REAP(waiter);
    change(3, -1, 0);
    REAP(for_zero);
    change(2, 8, 0);
    REAP(for_both);
    MUST(semctl(id, 0, GETALL, values));
    CHECK_EQUAL(values[1], 0);
    CHECK_EQUAL(values[2], 1);
    CHECK_EQUAL(values[4], 1);
    CHECK_EQUAL(values[0], 5);
    MUST(semctl(fresh, 0, IPC_RMID));
    MUST(semctl(id, 0, IPC_RMID));
    pass();
}
