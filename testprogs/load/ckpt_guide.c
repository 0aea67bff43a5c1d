// build: -lcpr
// Saves a child, lists what is in its statefile, brings it back and deletes it: the calls of libcpr in the order of the guide of IRIX CPR.
// Relies on cpr in the search path. Prints PASS, or what went wrong.
#include <ckpt.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            printf("FAIL %s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno); \
            exit(1); \
        } \
    } while (0)

static int do_checkpoint(ckpt_id_t id, u_long type, char *pathname)
{
    int rc;
    printf("checkpointing id %lld (type %lu) to directory %s\n", id, CKPT_REAL_TYPE(type), pathname);
    if ((rc = ckpt_create(pathname, id, type, 0, 0)) != 0)
        printf("failed to checkpoint process %lld\n", id);
    return rc;
}

static int ckpt_info(char *path)
{
    ckpt_stat_t *sp, *sp_next;
    int rc, n = 0;
    if ((rc = ckpt_stat(path, &sp)) != 0)
        return -1;
    while (sp) {
        printf("  %s, %d,%d, %d,%d, %s, %d, revision %d, %s", sp->cs_psargs, sp->cs_pid, sp->cs_ppid, sp->cs_pgrp, sp->cs_sid, sp->cs_cdir,
               sp->cs_nfiles, sp->cs_revision, ctime(&sp->cs_stat.st_mtime));
        CHECK(sp->cs_pid > 0 && sp->cs_nfiles > 0 && sp->cs_cdir[0] == '/' && time(NULL) - sp->cs_stat.st_mtime < 600);
        sp_next = sp->cs_next;
        free(sp);
        sp = sp_next;
        n++;
    }
    return n;
}

int main(void)
{
    CHECK(ckpt_setup(0, 0) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        setpgid(0, 0);
        for (;;)
            pause();
    }
    setpgid(child, child);
    cpr_flags = CKPT_CHECKPOINT_CONT;
    CHECK(do_checkpoint(child, P_PID, "guide.state") == 0);
    CHECK(kill(child, 0) == 0 && waitpid(child, NULL, WNOHANG) == 0);
    cpr_flags = 0;
    errno = 0;
    CHECK(do_checkpoint(child, P_HID, "guide.state") == -1 && errno == EEXIST);
    CHECK(ckpt_create("guide.other", child, 0x7f, 0, 0) == -1 && errno == EINVAL);
    cpr_flags = CKPT_CHECKPOINT_CONT | CKPT_CHECKPOINT_KILL;
    CHECK(ckpt_create("guide.other", child, P_PID, 0, 0) == -1 && errno == EINVAL);
    cpr_flags = CKPT_CHECKPOINT_UPGRADE;
    CHECK(do_checkpoint(child, P_HID, "guide.upgrade") == 0);
    CHECK(waitpid(child, NULL, 0) == child);
    cpr_flags = 0;
    CHECK(ckpt_create("guide.other", child, P_PID, 0, 0) == -1 && errno == ESRCH);
    CHECK(ckpt_info("guide.upgrade") == 1);
    CHECK(ckpt_info("guide.missing") == -1 && errno == ENOENT);
    ckpt_id_t again = ckpt_restart("guide.upgrade", 0, 0);
    printf("restarted %lld\n", again);
    CHECK(again > 0 && kill(again, SIGKILL) == 0);
    CHECK(ckpt_restart("guide.missing", 0, 0) < 0 && errno == ENOENT);
    CHECK(ckpt_remove("guide.state") == 0 && ckpt_remove("guide.upgrade") == 0);
    CHECK(access("guide.state", F_OK) == -1);
    CHECK(ckpt_remove("guide.state") == -1 && errno == ENOENT);
    puts("PASS");
    return 0;
}
