// Ranks of a stencil as MPI libraries run them on one machine: each has a mailbox in shared memory with a name, which its neighbors map; they wait by
// process-shared locks and meet at a barrier that System V semaphores make.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RANKS = 4, CELLS = 40000, STEPS = 1500 };

struct mailbox {
    pthread_mutex_t lock;
    pthread_cond_t news;
    int full[2];
    long edge[2];
    long sum;
};

// The working directory tells one run from another.
static void name_of(int rank, char *name, size_t size)
{
    struct stat here;
    if (stat(".", &here) < 0)
        exit(2);
    snprintf(name, size, "/reprise-ranks-%lu-%d", (unsigned long)here.st_ino, rank);
}

static struct mailbox *mailbox(int rank, int make)
{
    char name[60];
    name_of(rank, name, sizeof name);
    int fd = shm_open(name, make ? O_RDWR | O_CREAT | O_TRUNC : O_RDWR, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(struct mailbox)) < 0)
        exit(2);
    struct mailbox *box = mmap(NULL, sizeof *box, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (box == MAP_FAILED)
        exit(2);
    return box;
}

static void forget(int rank)
{
    char name[60];
    name_of(rank, name, sizeof name);
    shm_unlink(name);
}

static void put(struct mailbox *to, int side, long value)
{
    pthread_mutex_lock(&to->lock);
    while (to->full[side])
        pthread_cond_wait(&to->news, &to->lock);
    to->edge[side] = value;
    to->full[side] = 1;
    pthread_cond_broadcast(&to->news);
    pthread_mutex_unlock(&to->lock);
}

static long take(struct mailbox *own, int side)
{
    pthread_mutex_lock(&own->lock);
    while (!own->full[side])
        pthread_cond_wait(&own->news, &own->lock);
    own->full[side] = 0;
    pthread_cond_broadcast(&own->news);
    long value = own->edge[side];
    pthread_mutex_unlock(&own->lock);
    return value;
}

static void meet(int set)
{
    // The last one opens the gate for all.
    struct sembuf arrive = { 0, 1, 0 }, gate = { 1, -1, 0 }, open = { 1, RANKS, 0 }, leave = { 2, 1, 0 }, all[] = { { 0, -RANKS, IPC_NOWAIT } };
    if (semop(set, &arrive, 1))
        exit(3);
    if (semop(set, all, 1) == 0 && semop(set, &open, 1))
        exit(3);
    if (semop(set, &gate, 1) || semop(set, &leave, 1))
        exit(3);
}

static void rank(int own, int set)
{
    struct mailbox *box = mailbox(own, 0), *left = mailbox((own + RANKS - 1) % RANKS, 0), *right = mailbox((own + 1) % RANKS, 0);
    static long field[CELLS + 2];
    for (int i = 1; i <= CELLS; i++)
        field[i] = (own * 31L + i * 17L) % 1009;
    for (int step = 0; step < STEPS; step++) {
        if (step % 100 == 0)
            meet(set);
        put(left, 1, field[1]);
        put(right, 0, field[CELLS]);
        field[0] = take(box, 0);
        field[CELLS + 1] = take(box, 1);
        long before = field[0];
        for (int i = 1; i <= CELLS; i++) {
            long now = (before + field[i] + field[i + 1]) % 1000003;
            before = field[i];
            field[i] = now;
        }
    }
    for (int i = 1; i <= CELLS; i++)
        box->sum = (box->sum * 3 + field[i]) % 1000000007;
    meet(set);
    exit(0);
}

int main(void)
{
    int set = semget(IPC_PRIVATE, 3, 0600);
    struct mailbox *boxes[RANKS];
    pthread_mutexattr_t shared;
    pthread_condattr_t shared_too;
    pthread_mutexattr_init(&shared);
    pthread_mutexattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    pthread_condattr_init(&shared_too);
    pthread_condattr_setpshared(&shared_too, PTHREAD_PROCESS_SHARED);
    for (int i = 0; i < RANKS; i++) {
        boxes[i] = mailbox(i, 1);
        pthread_mutex_init(&boxes[i]->lock, &shared);
        pthread_cond_init(&boxes[i]->news, &shared_too);
    }
    for (int i = 0; i < RANKS; i++)
        if (fork() == 0)
            rank(i, set);
    int good = 0, status;
    for (int i = 0; i < RANKS; i++)
        good += wait(&status) > 0 && status == 0;
    FILE *result = fopen("result", "w");
    fprintf(result, "%d of %d:", good, RANKS);
    for (int i = 0; i < RANKS; i++) {
        fprintf(result, " %ld", boxes[i]->sum);
        forget(i);
    }
    fprintf(result, " left %d\n", semctl(set, 2, GETVAL));
    fclose(result);
    semctl(set, 0, IPC_RMID);
    return 0;
}
