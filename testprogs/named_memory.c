// Checks shared memory and semaphores with names (shm_open(3), sem_open(3)): contents, sharing with a child, a process that waits for a semaphore, the name
// itself, which leads to the memory that is mapped, and a part that is mapped read-only.
// build: -pthread
#include "journey.h"
#include <semaphore.h>

int main(void)
{
    char name[60], lock[60];
    struct stat here;
    // Process numbers are those of a namespace, names are everybody's.
    MUST(stat(".", &here));
    snprintf(name, sizeof name, "/reprise-test-%lu", (unsigned long)here.st_ino);
    snprintf(lock, sizeof lock, "/reprise-lock-%lu", (unsigned long)here.st_ino);
    int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0640);
    if (fd < 0)
        skip("no /dev/shm: %s", strerror(errno));
    MUST(ftruncate(fd, 10 * PAGE));
    char *area = MUST(mmap(NULL, 10 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    MUST(close(fd));
    fd = MUST(shm_open(name, O_RDONLY, 0));
    char *part = MUST(mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 4 * PAGE));
    fill(area, 5 * PAGE, 37);
    sem_t *semaphore = sem_open(lock, O_CREAT | O_EXCL, 0600, 0);
    CHECK(semaphore != SEM_FAILED, "sem_open: %s", strerror(errno));
    pid_t pid = MUST(fork());
    if (pid == 0) {
        MUST(sem_wait(semaphore));
        area[7 * PAGE] = 7;
        _exit(0);
    }
    wait_until_in_call(pid, SYS_futex);

    ready();

    char byte;
    int value;
    MUST(sem_post(semaphore));
    REAP(pid);
    sem_t *by_name = sem_open(lock, 0);
    CHECK(by_name != SEM_FAILED, "the semaphore has lost its name: %s", strerror(errno));
    MUST(sem_post(by_name));
    MUST(sem_getvalue(semaphore, &value));
    sem_unlink(lock);
    int again = shm_open(name, O_RDWR, 0);
    shm_unlink(name);
    CHECK_EQUAL(value, 1);
    CHECK(again >= 0, "the memory has lost its name");
    CHECK_FILLED(area, 5 * PAGE, 37);
    CHECK_FILLED(part, PAGE, 37 + 4 * PAGE);
    CHECK_EQUAL(pread(again, &byte, 1, 7 * PAGE), 1);
    CHECK_EQUAL(byte, 7);
    area[5 * PAGE] = 55;
    CHECK_EQUAL(part[PAGE], 55);
    CHECK_EQUAL(pread(fd, &byte, 1, 5 * PAGE), 1);
    CHECK_EQUAL(byte, 55);
    MUST(fstat(again, &here));
    CHECK_EQUAL(here.st_mode & 0777, 0640);
    CHECK_EQUAL(here.st_size, 10 * PAGE);
    pass();
}
