/* Error numbers of libcr beyond those of errno(3). cr_strerror(3) has words for them.
 * Part of Reprise; made from the documented interface of BLCR 0.8. */
#ifndef BLCR_ERRCODES_H
#define BLCR_ERRCODES_H

/* Exclusive bounds of the numbers below. */
#define CR_MIN_ERRCODE 2353
#define CR_MAX_ERRCODE 2366

/* A program that takes part has cancelled: try again later. */
#define CR_ETEMPFAIL 2354
/* A program that takes part has cancelled for good; the job was killed. */
#define CR_EPERMFAIL 2355
/* A process has no libcr. */
#define CR_ENOSUPPORT 2356
/* Library and programs do not fit each other. */
#define CR_EVERSION 2357
/* The process has asked to be left out. */
#define CR_EOMITTED 2358
/* The context file is for another architecture. */
#define CR_EBADARCH 2359
/* A process is being traced. */
#define CR_EPTRACED 2360
/* A process traces others. */
#define CR_EPTRACER 2361
/* A callback has aborted the restart; the job was killed. */
#define CR_ERSTRTABRT 2362
/* The handle is from before a restart, which means success. */
#define CR_ERESTARTED 2363
/* Only callbacks may do this. */
#define CR_ENOTCB 2364
/* The thread has not called cr_init(). */
#define CR_ENOINIT 2365

#endif
