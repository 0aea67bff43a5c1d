/* Constants and structures that libcr and its callers share.
 * Part of Reprise; made from the documented interface of BLCR 0.8. */
#ifndef BLCR_COMMON_H
#define BLCR_COMMON_H

#include <sys/types.h>
#include "blcr_errcodes.h"

/* Versions: of BLCR, whose interface this is, and of the library. */
#define CR_RELEASE_MAJOR 0
#define CR_RELEASE_MINOR 8
#define CR_RELEASE_PATCH 6
#define CR_RELEASE_VERSION "0.8.6"
#define LIBCR_MAJOR 0
#define LIBCR_MINOR 5
#define LIBCR_PATCH 5

/* The reserved signal: the highest one, which programs with libcr do not find in SIGRTMIN to SIGRTMAX. */
#define CR_SIGNUM 64

/* What an id names. */
typedef enum {
    CR_SCOPE_PROC = 0, /* a process */
    CR_SCOPE_PGRP = 1, /* a process group */
    CR_SCOPE_SESS = 2, /* a session */
    CR_SCOPE_TREE = 3  /* a process and its descendants */
} cr_scope_t;

/* Flags of cr_checkpoint(). */
#define CR_CHECKPOINT_READY 0
#define CR_CHECKPOINT_TEMP_FAILURE 1
#define CR_CHECKPOINT_PERM_FAILURE 2
#define CR_CHECKPOINT_OMIT 4
/* The same with an error number of one's own, 16 bits; 0 is the usual one. */
#define CR_CHECKPOINT_TEMP_FAILURE_CODE(value) (CR_CHECKPOINT_TEMP_FAILURE | ((int)((unsigned)((value) & 0xffff) << 16)))
#define CR_CHECKPOINT_PERM_FAILURE_CODE(value) (CR_CHECKPOINT_PERM_FAILURE | ((int)((unsigned)((value) & 0xffff) << 16)))

/* Flags of requests. */
#define CR_CHKPT_PROHIBIT_SELF 0x1   /* fail with EDEADLK if the caller is in the checkpoint */
#define CR_CHKPT_PTRACED_ALLOW 0x2   /* take processes that are being traced */
#define CR_CHKPT_PTRACED_SKIP 0x4    /* leave processes out that are being traced */
#define CR_CHKPT_PTRACER_SKIP 0x8    /* leave processes out that trace others */
#define CR_CHKPT_ASYNC_ERR 0x10      /* report errors when the request is reaped */
#define CR_CHKPT_DUMP_EXEC 0x200     /* save programs and libraries */
#define CR_CHKPT_DUMP_PRIVATE 0x400  /* save private mappings of files */
#define CR_CHKPT_DUMP_SHARED 0x800   /* save shared mappings of files */
#define CR_CHKPT_DUMP_ALL (CR_CHKPT_DUMP_EXEC | CR_CHKPT_DUMP_PRIVATE | CR_CHKPT_DUMP_SHARED)

#define CR_RSTRT_ASYNC_ERR 0x1       /* report errors when the request is reaped */
#define CR_RSTRT_RESTORE_PID 0x2     /* with the saved process ids */
#define CR_RSTRT_RESTORE_PGID 0x4    /* with the saved process groups */
#define CR_RSTRT_RESTORE_SID 0x8     /* with the saved sessions */
#define CR_MAX_RSTRT_RELOC 16

/* A mapping of path prefixes: flexible, so allocate it with room for `count` pairs. */
struct cr_rstrt_path_pair {
    const char *oldpath;
    const char *newpath;
};
struct cr_rstrt_relocate {
    int count;
    struct cr_rstrt_path_pair path[];
};

/* What cr_get_checkpoint_info() tells. */
struct cr_checkpoint_info {
    int signal;        /* the signal that follows; 0: none */
    const char *dest;  /* absolute path of the context file; empty if it has none */
    pid_t requester;   /* who asked */
    pid_t target;      /* the id that was asked for */
    cr_scope_t scope;  /* what that id names */
};

/* What cr_get_restart_info() tells. */
struct cr_restart_info {
    pid_t requester;   /* who restarted */
    const char *src;   /* absolute path of the context file; empty if it has none */
};

#endif
