// Checks locks between threads and processes: threads blocked on a mutex and a condition, a shared mutex
// that a child holds.
#include "journey.h"
#include <pthread.h>
#include <semaphore.h>

struct shared {
    pthread_mutex_t mutex;
    sem_t taken;
};
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, gate_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int opened, entered;
static volatile pid_t tid[2];

static void *wants_mutex(void *arg)
{
    (void)arg;
    tid[0] = own_tid();
    CHECK_EQUAL(pthread_mutex_lock(&mutex), 0);
    entered = 1;
    CHECK_EQUAL(pthread_mutex_unlock(&mutex), 0);
    return NULL;
}

static void *wants_condition(void *arg)
{
    (void)arg;
    CHECK_EQUAL(pthread_mutex_lock(&gate_mutex), 0);
    tid[1] = own_tid();
    while (!opened)
        CHECK_EQUAL(pthread_cond_wait(&condition, &gate_mutex), 0);
    CHECK_EQUAL(pthread_mutex_unlock(&gate_mutex), 0);
    return NULL;
}

int main(void)
{
    pthread_t thread[2];
    pthread_mutexattr_t attr;
    struct shared *shared = MUST(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&shared->mutex, &attr);
    MUST(sem_init(&shared->taken, 1, 0));
    pid_t pid = MUST(fork());
    if (pid == 0) {
        CHECK_EQUAL(pthread_mutex_lock(&shared->mutex), 0);
        sem_post(&shared->taken);
        wait_for_go();
        CHECK_EQUAL(pthread_mutex_unlock(&shared->mutex), 0);
        _exit(0);
    }
    MUST(sem_wait(&shared->taken));
    CHECK_EQUAL(pthread_mutex_lock(&mutex), 0);
    CHECK_EQUAL(pthread_create(&thread[0], NULL, wants_mutex, NULL), 0);
    CHECK_EQUAL(pthread_create(&thread[1], NULL, wants_condition, NULL), 0);
    for (int i = 0; i < 2; i++) {
        while (!tid[i])
            doze(1);
        wait_until_in_call(tid[i], SYS_futex);
    }

    ready();

    CHECK_EQUAL(entered, 0);
    CHECK_EQUAL(pthread_mutex_unlock(&mutex), 0);
    pthread_mutex_lock(&gate_mutex);
    opened = 1;
    pthread_cond_signal(&condition);
    pthread_mutex_unlock(&gate_mutex);
    CHECK_EQUAL(pthread_join(thread[0], NULL), 0);
    CHECK_EQUAL(pthread_join(thread[1], NULL), 0);
    CHECK_EQUAL(entered, 1);
    CHECK_EQUAL(pthread_mutex_lock(&shared->mutex), 0);
    REAP(pid);
    pass();
}
