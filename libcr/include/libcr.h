/* libcr: programs that take part in their own checkpoints.
 *
 * The interface is that of BLCR 0.8; see libcr(7) and the manual page of each function. Unless stated otherwise functions return -1 and set errno when they
 * fail. Link with -lcr.
 * Part of Reprise. */
#ifndef LIBCR_H
#define LIBCR_H

#include <signal.h>
#include <stddef.h>
#include <sys/time.h>
#include <sys/types.h>
#include "blcr_common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Threads ---- */

/* A thread that uses libcr, as cr_init() returns it. */
typedef int cr_client_id_t;
/* For cr_enter_cs() and cr_leave_cs() in callbacks. */
#define CR_ID_CALLBACK ((cr_client_id_t)-1)

/* Must be called by every thread that calls anything else here, but for those that run callbacks in thread context. */
cr_client_id_t cr_init(void);

/* Keep what libcr knows of this thread while destructors of thread-specific data run. Return the old count; ERANGE. */
int cr_inc_persist(void);
int cr_dec_persist(void);

/* ---- Callbacks ---- */

typedef int (*cr_callback_t)(void *arg);
typedef int cr_callback_id_t;

/* Exactly one of these. */
#define CR_THREAD_CONTEXT 0x4000000 /* run by a thread of libcr, for the process */
#define CR_SIGNAL_CONTEXT 0x2000000 /* run by the thread that has registered it, maybe in a signal handler */
#define CR_MAX_CALLBACKS 0x1FFFFFF

cr_callback_id_t cr_register_callback(cr_callback_t func, void *arg, int flags);
int cr_replace_callback(cr_callback_id_t id, cr_callback_t func, void *arg, int flags);
int cr_replace_self(cr_callback_t func, void *arg, int flags);

/* In a callback: lets the others run and waits for the checkpoint. 0: the program runs on; positive: it was restarted by that process;
 * negative: the negated error number. */
int cr_checkpoint(int flags);

const struct cr_checkpoint_info *cr_get_checkpoint_info(void);
const struct cr_restart_info *cr_get_restart_info(void);

/* In a callback, before cr_checkpoint(): adds processes to the checkpoint. */
int cr_forward_checkpoint(cr_scope_t scope, pid_t target);

/* ---- Critical sections ---- */

int cr_enter_cs(cr_client_id_t id);
int cr_leave_cs(cr_client_id_t id);
int cr_tryenter_cs(cr_client_id_t id); /* positive: not now */

#define CR_STATE_IDLE 0
#define CR_STATE_PENDING 1
#define CR_STATE_ACTIVE 2
int cr_status(void);

/* ---- Hooks ---- */

typedef enum {
    CR_HOOK_CONT_SIGNAL_CONTEXT = 0,
    CR_HOOK_CONT_THREAD_CONTEXT = 1,
    CR_HOOK_CONT_NO_CALLBACKS = 2,
    CR_HOOK_RSTRT_SIGNAL_CONTEXT = 3,
    CR_HOOK_RSTRT_THREAD_CONTEXT = 4,
    CR_HOOK_RSTRT_NO_CALLBACKS = 5,
    CR_NUM_HOOKS = 6
} cr_hook_event_t;

typedef void (*cr_hook_fn_t)(cr_hook_event_t event);
#define CR_HOOK_FN_ERROR ((cr_hook_fn_t)~0UL)

cr_hook_fn_t cr_register_hook(cr_hook_event_t event, cr_hook_fn_t func);

/* ---- May a thread leave before all callbacks are done? ---- */

#define CR_HOLD_SCOPE_THREAD 0
#define CR_HOLD_SCOPE_INIT 1
#define CR_HOLD_SCOPE_UNINIT 2

#define CR_HOLD_READ (-1)
#define CR_HOLD_NONE 0
#define CR_HOLD_CONT 1
#define CR_HOLD_RSTRT 2
#define CR_HOLD_BOTH 3
#define CR_HOLD_DFLT 4

int cr_hold_ctrl(int scope, int flags);

/* ---- Requests ---- */

#define CR_CHECKPOINT_ARGS_VERSION 1
#define CR_RESTART_ARGS_VERSION 1
#define CR_DEST_CWD (-4096)

typedef struct cr_checkpoint_args {
    unsigned int cr_version;
    cr_scope_t cr_scope;
    pid_t cr_target;          /* 0: the caller, or its own group or session */
    int cr_fd;                /* where the context file is written */
    int cr_signal;            /* sent afterwards */
    unsigned int cr_timeout;  /* seconds; 0: none */
    unsigned int cr_flags;    /* CR_CHKPT_... */
} cr_checkpoint_args_t;

typedef struct cr_restart_args {
    unsigned int cr_version;
    int cr_fd;                /* where the context file is read */
    int cr_signal;            /* sent afterwards */
    unsigned int cr_flags;    /* CR_RSTRT_... */
    struct cr_rstrt_relocate *cr_relocate;
} cr_restart_args_t;

typedef unsigned long cr_checkpoint_handle_t;
typedef unsigned long cr_restart_handle_t;

int cri_init_checkpoint_args_t(unsigned int version, cr_checkpoint_args_t *args);
int cri_init_restart_args_t(unsigned int version, cr_restart_args_t *args);
#define cr_initialize_checkpoint_args_t(args) cri_init_checkpoint_args_t(CR_CHECKPOINT_ARGS_VERSION, (args))
#define cr_initialize_restart_args_t(args) cri_init_restart_args_t(CR_RESTART_ARGS_VERSION, (args))

int cr_request_checkpoint(cr_checkpoint_args_t *args, cr_checkpoint_handle_t *handle);
int cr_wait_checkpoint(cr_checkpoint_handle_t *handle, struct timeval *timeout);
int cr_log_checkpoint(cr_checkpoint_handle_t *handle, unsigned int len, char *buf);
int cr_reap_checkpoint(cr_checkpoint_handle_t *handle);

int cr_request_restart(cr_restart_args_t *args, cr_restart_handle_t *handle);
int cr_wait_restart(cr_restart_handle_t *handle, struct timeval *timeout);
int cr_log_restart(cr_restart_handle_t *handle, unsigned int len, char *buf);
int cr_reap_restart(cr_restart_handle_t *handle); /* the pid of the lead process, a child of the caller */

/* Wait, log and reap in one. Positive: done; 0: not yet; negative: as named here, with errno. */
#define CR_POLL_CHKPT_ERR_PRE (-1)  /* the wait failed; the request goes on */
#define CR_POLL_CHKPT_ERR_POST (-2) /* the checkpoint failed; the request is gone */
#define CR_POLL_CHKPT_ERR_LOG (-3)  /* the log could not be had; the request goes on */
#define CR_POLL_RSTRT_ERR_PRE (-1)
#define CR_POLL_RSTRT_ERR_POST (-2)
#define CR_POLL_RSTRT_ERR_LOG (-3)
int cr_poll_checkpoint(cr_checkpoint_handle_t *handle, struct timeval *timeout);
int cr_poll_checkpoint_msg(cr_checkpoint_handle_t *handle, struct timeval *timeout, char **msg);
int cr_poll_restart(cr_restart_handle_t *handle, struct timeval *timeout);
int cr_poll_restart_msg(cr_restart_handle_t *handle, struct timeval *timeout, char **msg);

/* The old way to checkpoint oneself; the file is context.PID by default. */
void cr_request(void);
void cr_request_file(const char *filename);
void cr_request_fd(int fd);

/* ---- Spin locks ---- */

typedef unsigned int cr_spinlock_t;
#define CR_SPINLOCK_INITIALIZER 0U
void cr_spinlock_init(cr_spinlock_t *lock);
void cr_spinlock_lock(cr_spinlock_t *lock);
void cr_spinlock_unlock(cr_spinlock_t *lock);
int cr_spinlock_trylock(cr_spinlock_t *lock); /* not 0: obtained */

/* ---- The rest ---- */

const char *cr_strerror(int errnum);

/* The reserved signal. */
extern const int cri_signum;

/* For -Wl,-u,NAME: links a library that nothing is used of. */
extern const int cr_link_me;
extern const int cr_run_link_me;
extern const int cr_omit_link_me;

#ifdef __cplusplus
}
#endif

#endif
