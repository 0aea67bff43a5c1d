// Checks System V shared memory: the segment with its id, key and mode, attached twice and by a child, and one that
// is marked for removal.
#include "journey.h"
#include <sys/ipc.h>
#include <sys/shm.h>

int main(void)
{
    size_t size = 20 * PAGE;
    int id = MUST(shmget(IPC_PRIVATE, size, IPC_CREAT | 0640)), doomed = MUST(shmget(IPC_PRIVATE, PAGE, 0600));
    char *area = MUST((char *)shmat(id, NULL, 0)), *second = MUST((char *)shmat(id, NULL, SHM_RDONLY));
    char *gone = MUST((char *)shmat(doomed, NULL, 0));
    // Removed at once, so that no failure leaves it behind; `id` is removed in the end, or by its mark below.
    MUST(shmctl(doomed, IPC_RMID, NULL));
    fill(area, 10 * PAGE, 35);
    fill(gone, PAGE, 36);
    pid_t pid = MUST(fork());
    if (pid == 0) {
        wait_for_go();
        CHECK_FILLED(second, 10 * PAGE, 35);
        area[15 * PAGE] = 15;
        gone[0] ^= 1;
        _exit(0);
    }
    char first = gone[0];

    ready();

    REAP(pid);
    struct shmid_ds ds;
    MUST(shmctl(id, IPC_STAT, &ds));
    MUST(shmctl(id, IPC_RMID, NULL));
    CHECK_EQUAL(ds.shm_nattch, 2);
    CHECK_EQUAL(ds.shm_segsz, size);
    CHECK_EQUAL(ds.shm_perm.mode & 0777, 0640);
    CHECK_FILLED(area, 10 * PAGE, 35);
    CHECK_EQUAL(second[15 * PAGE], 15);
    CHECK_EQUAL(gone[0], (char)(first ^ 1));
    gone[0] ^= 1;
    CHECK_FILLED(gone, PAGE, 36);
    MUST(shmdt(second));
    MUST(shmdt(area));
    pass();
}
