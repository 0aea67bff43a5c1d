// Checks System V shared memory: segments with id, key, owner and mode; attached twice, read-only, in part, by a child, by nobody, and one that is
// marked for removal.
#include "journey.h"
#include <sys/ipc.h>
#include <sys/shm.h>

static size_t size = 20 * PAGE;

static void check_unwritable(char *area)
{
    CHECK(mprotect(area, PAGE, PROT_READ | PROT_WRITE) == -1 && errno == EACCES, "a read-only attachment can be made writable");
}

int main(void)
{
    key_t key = 0x52000000 + getpid();
    int id = MUST(shmget(key, size, IPC_CREAT | IPC_EXCL | 0640)), doomed = MUST(shmget(IPC_PRIVATE, 100, 0600));
    int alone = MUST(shmget(IPC_PRIVATE, 5 * PAGE + 1, 0600));
    struct shmid_ds before, ds;
    char *area = MUST((char *)shmat(id, NULL, 0)), *second = MUST((char *)shmat(id, NULL, SHM_RDONLY));
    char *gone = MUST((char *)shmat(doomed, NULL, 0)), *other = MUST((char *)shmat(alone, NULL, 0));
    // A part of a third attachment, with other protections.
    char *part = MUST((char *)shmat(id, NULL, 0));
    MUST(munmap(part, 8 * PAGE));
    MUST(munmap(part + 12 * PAGE, 8 * PAGE));
    part += 8 * PAGE;
    MUST(mprotect(part, 2 * PAGE, PROT_READ));
    MUST(shmctl(doomed, IPC_RMID, NULL));
    fill(area, 10 * PAGE, 35);
    fill(gone, 96, 36);
    fill(other, 5 * PAGE, 37);
    MUST(shmdt(other));
    MUST(shmctl(id, IPC_STAT, &before));
    pid_t pid = MUST(fork());
    if (pid == 0) {
        MUST(shmdt(area));
        wait_for_go();
        CHECK_FILLED(second, 10 * PAGE, 35);
        check_unwritable(second);
        part[3 * PAGE] = 15;
        gone[0] ^= 1;
        _exit(0);
    }
    char first = gone[0];

    ready();

    REAP(pid);
    MUST(shmctl(id, IPC_STAT, &ds));
    CHECK_EQUAL(shmget(key, 0, 0), id);
    CHECK_EQUAL(ds.shm_nattch, 4);
    CHECK_EQUAL(ds.shm_segsz, size);
    CHECK_EQUAL(ds.shm_perm.__key, key);
    CHECK_EQUAL(ds.shm_perm.mode & 0777, 0640);
    CHECK_EQUAL(ds.shm_perm.uid, before.shm_perm.uid);
    CHECK_EQUAL(ds.shm_perm.cuid, before.shm_perm.cuid);
    CHECK_EQUAL(ds.shm_perm.cgid, before.shm_perm.cgid);
    CHECK_FILLED(area, 10 * PAGE, 35);
    CHECK_EQUAL(second[11 * PAGE], 15);
    CHECK_FILLED(part, 2 * PAGE, 35 + 8 * PAGE);
    check_unwritable(second);
    MUST(mprotect(part, PAGE, PROT_READ | PROT_WRITE));
    part[0] ^= 1;
    CHECK_EQUAL(second[8 * PAGE], part[0]);

    // Nobody may choose the id of a segment that was gone and is made again.
    int has_id = geteuid() == 0 || !pids_are_new();
    if (has_id) {
        MUST(shmctl(doomed, IPC_STAT, &ds));
        CHECK(ds.shm_perm.mode & SHM_DEST, "the segment is not marked for removal any more");
        CHECK_EQUAL(ds.shm_segsz, 100);
        CHECK_EQUAL(ds.shm_nattch, 1);
    }
    CHECK_EQUAL(gone[0], (char)(first ^ 1));
    gone[0] ^= 1;
    CHECK_FILLED(gone, 96, 36);
    MUST(shmdt(gone));
    CHECK(shmctl(doomed, IPC_STAT, &ds) == -1, "the segment outlives its last attachment");

    MUST(shmctl(alone, IPC_STAT, &ds));
    CHECK_EQUAL(ds.shm_nattch, 0);
    CHECK_EQUAL(ds.shm_segsz, 5 * PAGE + 1);
    other = MUST((char *)shmat(alone, NULL, 0));
    CHECK_FILLED(other, 5 * PAGE, 37);
    MUST(shmctl(alone, IPC_RMID, NULL));
    MUST(shmctl(id, IPC_RMID, NULL));
    MUST(shmdt(second));
    MUST(shmdt(area));
    pass();
}
