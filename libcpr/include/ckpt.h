/* ckpt.h: checkpoint and restart from C, as IRIX has it.
 *
 * See ckpt_create(3) and atcheckpoint(3). Unless stated otherwise functions return -1 and set errno when they fail. Link with -lcpr.
 * Part of Reprise. */
#ifndef CKPT_H
#define CKPT_H

#include <signal.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Handlers ---- */

/* Run func in this process before a checkpoint, or first of all after a restart; children inherit it. In the order of registration, at most 32 of
 * either. Handlers return: no longjmp. -1: ENOMEM when there are 32, EINVAL without a function, ENOSYS without libcr. */
int atcheckpoint(void (*func)(void));
int atrestart(void (*func)(void));

/* What the handlers above are run by. Ignored by default; catching them yourself undoes what libraries have registered. */
#define SIGCKPT 63
#define SIGRESTART 62

/* ---- Requests ---- */

typedef long long ckpt_id_t;

/* What an id names; P_PID and P_PGID are those of <sys/wait.h>. */
#define P_SID 0x11  /* a session */
#define P_ASH 0x12  /* an array session: here a job of a batch system */
#define P_HID 0x13  /* a process and all its descendants */
#define P_SGP 0x14  /* the processes that share an address space */
#define P_JID 0x15  /* a job: here a control group */
#ifndef CKPT_REAL_TYPE
#define CKPT_REAL_TYPE(type) ((type) & 0xffUL)
#endif

struct ckpt_args {
    unsigned long ckpt_type;
    void *ckpt_data;
};

/* Options for the next calls, in all of the process; set it back between calls. */
extern int cpr_flags;
#define CKPT_CHECKPOINT_KILL 0x01     /* kill afterwards (default), whatever an attribute file says */
#define CKPT_CHECKPOINT_CONT 0x02     /* let it run on, whatever an attribute file says */
#define CKPT_CHECKPOINT_UPGRADE 0x04  /* save programs and libraries too */
#define CKPT_OPENFILE_DISTRIBUTE 0x08 /* saved files stand beside the originals */
#define CKPT_RESTART_INTERACTIVE 0x10 /* in the process group of the caller, if it had a terminal */

/* Always 0. */
int ckpt_setup(struct ckpt_args *args[], size_t nargs);

/* Saves what id names in the new directory path. args are not used. 0, or -1. */
int ckpt_create(const char *path, ckpt_id_t id, u_long type, struct ckpt_args *args[], size_t nargs);

/* Brings it back. The id of its first process, or -1. */
ckpt_id_t ckpt_restart(const char *path, struct ckpt_args *args[], size_t nargs);

/* ---- Statefiles ---- */

#define CKPT_PSARGS 1024
#define CKPT_PATH 4096

/* A process in a statefile. */
typedef struct ckpt_stat {
    struct ckpt_stat *cs_next;    /* the next one; the caller frees each with free(3) */
    int cs_revision;              /* major * 1000000 + minor * 1000 + patch of the program that wrote it */
    pid_t cs_pid, cs_ppid;
    pid_t cs_pgrp, cs_sid;
    int cs_nfiles;                /* open descriptors */
    struct stat cs_stat;          /* of the statefile; st_mtime is the time of the checkpoint */
    char cs_comm[32];             /* first word of the command line */
    char cs_psargs[CKPT_PSARGS];  /* command line */
    char cs_cdir[CKPT_PATH];      /* working directory */
} ckpt_stat_t;

/* A list of all processes in a statefile. 0, or -1. */
int ckpt_stat(const char *path, ckpt_stat_t **list);

/* Deletes a statefile. 0, or -1. */
int ckpt_remove(const char *path);

#ifdef __cplusplus
}
#endif

#endif
