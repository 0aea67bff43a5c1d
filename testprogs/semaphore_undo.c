// Checks System V semaphores: what the kernel adds when a process ends (SEM_UNDO), up and down, of several processes on one semaphore, small and as
// large as can be, and of a process with threads.
// build: -pthread
#include "journey.h"
#include <pthread.h>
#include <sys/ipc.h>
#include <sys/sem.h>

static int id;

static void change(int number, int by, int flags)
{
    struct sembuf operation = { (unsigned short)number, (short)by, (short)flags };
    CHECK(semop(id, &operation, 1) == 0, "semaphore %d by %d: %s", number, by, strerror(errno));
}

static void until(const char *name)
{
    while (access(name, F_OK))
        doze(5);
}

static void *undo_in_thread(void *arg)
{
    (void)arg;
    change(3, -3, SEM_UNDO);
    return NULL;
}

static void hold(void *arg)
{
    struct gate *gate = ((struct gate **)arg)[0];
    int second = arg && ((void **)arg)[1] != NULL;
    change(0, second ? -1 : -2, SEM_UNDO);
    change(1, second ? 4 : 7, SEM_UNDO);
    if (second) {
        pthread_t thread;
        change(2, 32767, SEM_UNDO);
        change(2, -32767, 0);
        change(3, 10, 0);
        CHECK(pthread_create(&thread, NULL, undo_in_thread, NULL) == 0, "no thread");
        pthread_join(thread, NULL);
    } else {
        // Up and down leave nothing to adjust.
        change(4, 1, SEM_UNDO);
        change(4, -1, SEM_UNDO);
    }
    gate_arrive(gate);
    until(second ? "second" : "first");
}

int main(void)
{
    id = MUST(semget(IPC_PRIVATE, 5, IPC_CREAT | 0600));
    struct gate gate = gate_new();
    change(0, 5, 0);
    void *first_arg[2] = { &gate, NULL }, *second_arg[2] = { &gate, &gate };
    pid_t first = spawn(hold, first_arg), second = spawn(hold, second_arg);
    gate_collect(&gate, 2);

    ready();

    static const unsigned short now[5] = { 2, 11, 0, 7, 0 }, one_gone[5] = { 4, 4, 0, 7, 0 }, both_gone[5] = { 5, 0, 0, 10, 0 };
    const unsigned short *expected[3] = { now, one_gone, both_gone };
    const char *names[2] = { "first", "second" };
    pid_t pids[2] = { first, second };
    for (int step = 0; step < 3; step++) {
        unsigned short values[5];
        MUST(semctl(id, 0, GETALL, values));
        for (int i = 0; i < 5; i++)
            CHECK(values[i] == expected[step][i], "semaphore %d is %d after %d ends, not %d", i, values[i], step, expected[step][i]);
        if (step == 2)
            break;
        // Room for what the end takes away.
        if (step == 1)
            change(2, 0, 0);
        MUST(close(MUST(open(names[step], O_WRONLY | O_CREAT, 0600))));
        int status;
        CHECK(waitpid(pids_are_new() ? -1 : pids[step], &status, 0) > 0 && status == 0, "a holder ended with %#x", status);
    }
    MUST(semctl(id, 0, IPC_RMID));
    pass();
}
