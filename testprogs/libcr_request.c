// Checks requests: of oneself, in and out of critical sections, of a child, refused ones, several at once; and a restart, whose lead is a child of the caller.
// build: -lcr
// verdict: may be refused
#include "journey.h"
#include <dirent.h>
#include <libcr.h>
#include <sys/prctl.h>

static int count_entries(const char *path)
{
    DIR *dir = opendir(path);
    int n = 0;
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static volatile int called, got, flags;

static int callback(void *arg)
{
    (void)arg;
    called++;
    got = cr_checkpoint(flags);
    return 0;
}

// Asks for a checkpoint, and returns what cr_request_checkpoint does.
static int request(cr_scope_t scope, pid_t target, const char *file, unsigned more, cr_checkpoint_handle_t *handle)
{
    cr_checkpoint_args_t args;
    int fd = MUST(open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600));
    MUST(cr_initialize_checkpoint_args_t(&args));
    args.cr_scope = scope;
    args.cr_target = target;
    args.cr_fd = fd;
    args.cr_flags = more;
    int result = cr_request_checkpoint(&args, handle), number = errno;
    close(fd);
    errno = number;
    return result;
}

static int finish(cr_checkpoint_handle_t *handle)
{
    int result = cr_poll_checkpoint(handle, NULL);
    CHECK(result > 0 || result == CR_POLL_CHKPT_ERR_POST, "poll returned %d: %s", result, cr_strerror(errno));
    return result > 0 ? 0 : errno;
}

static off_t size_of(const char *path)
{
    struct stat stat;
    return lstat(path, &stat) ? 0 : stat.st_size;
}

// The child of this program, restarted from its own checkpoint: passes its verdict by its exit status.
static void child_body(void)
{
    cr_checkpoint_handle_t handle;
    pid_t parent = getppid();
    MUST(cr_init());
    MUST(cr_register_callback(callback, NULL, CR_SIGNAL_CONTEXT));
    CHECK_EQUAL(request(CR_SCOPE_PROC, getpid(), "child.ctx", 0, &handle), 0);
    int number = finish(&handle);
    if (number == CR_ERESTARTED) {
        CHECK(got > 0, "the callback was not told of the restart");
        _exit(got == parent ? 42 : 43);
    }
    CHECK_EQUAL(number, 0);
    CHECK_EQUAL(got, 0);
    _exit(7);
}

static void restart_child(void)
{
    int status;
    pid_t pid = MUST(fork());
    if (pid == 0)
        child_body();
    CHECK_EQUAL(MUST(waitpid(pid, &status, 0)), pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7, "the child ended with %#x", status);
    for (int turn = 0; turn < 2; turn++) {
        cr_restart_args_t args;
        cr_restart_handle_t handle;
        char *message = NULL;
        MUST(cr_initialize_restart_args_t(&args));
        args.cr_fd = MUST(open("child.ctx", O_RDONLY));
        args.cr_flags = turn ? 0 : CR_RSTRT_RESTORE_PID;
        CHECK(cr_request_restart(&args, &handle) == 0, "restart: %s", cr_strerror(errno));
        close(args.cr_fd);
        pid_t lead = cr_poll_restart_msg(&handle, NULL, &message);
        CHECK(lead > 0, "the restart failed: %s (%s)", cr_strerror(errno), message ? message : "");
        CHECK(turn || lead == pid, "the lead is %d, was %d", lead, pid);
        CHECK_EQUAL(MUST(waitpid(lead, &status, 0)), lead);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42, "the restarted child ended with %#x", status);
        free(message);
    }
    int subreaper = 1;
    prctl(PR_GET_CHILD_SUBREAPER, &subreaper);
    CHECK_EQUAL(subreaper, 0);
}

static void refusals(cr_client_id_t id)
{
    cr_checkpoint_args_t args;
    cr_checkpoint_handle_t handle;
    char *message = NULL;
    CHECK(cri_init_checkpoint_args_t(2, &args) == -1 && errno == EINVAL, "a version of the future");
    MUST(cr_initialize_checkpoint_args_t(&args));
    CHECK((int)args.cr_scope == -1 && args.cr_fd == -1 && !args.cr_target && !args.cr_signal && !args.cr_timeout && !args.cr_flags, "defaults");
    CHECK(cr_request_checkpoint(&args, &handle) == -1 && errno == EINVAL, "no scope: %d", errno);
    args.cr_scope = CR_SCOPE_PROC;
    CHECK(cr_request_checkpoint(&args, &handle) == -1 && errno == EBADF, "no descriptor: %d", errno);
    CHECK(request(CR_SCOPE_PROC, 0x3ffffff, "none.ctx", 0, &handle) == -1 && errno == ESRCH, "nobody: %d", errno);
    CHECK(request(CR_SCOPE_PROC, 1, "none.ctx", 0, &handle) == -1, "init was checkpointed");
    CHECK(request(CR_SCOPE_PROC, 0, "none.ctx", CR_CHKPT_PROHIBIT_SELF, &handle) == -1 && errno == EDEADLK, "oneself: %d", errno);
    // Errors may come later, with words.
    CHECK_EQUAL(request(CR_SCOPE_PROC, 0x3ffffff, "none.ctx", CR_CHKPT_ASYNC_ERR, &handle), 0);
    CHECK_EQUAL(cr_poll_checkpoint_msg(&handle, NULL, &message), CR_POLL_CHKPT_ERR_POST);
    CHECK_EQUAL(errno, ESRCH);
    CHECK(message && strlen(message) > 10, "the message is %s", message ? message : "none");
    free(message);
    CHECK(cr_reap_checkpoint(&handle) == -1 && errno == EINVAL, "a handle is reaped twice");
    CHECK(cr_poll_checkpoint(&handle, NULL) == CR_POLL_CHKPT_ERR_PRE && errno == EINVAL, "an old handle is polled");
    // Those of callbacks.
    int before = called;
    flags = CR_CHECKPOINT_TEMP_FAILURE;
    CHECK_EQUAL(request(CR_SCOPE_PROC, 0, "temp.ctx", CR_CHKPT_ASYNC_ERR, &handle), 0);
    CHECK_EQUAL(finish(&handle), CR_ETEMPFAIL);
    CHECK_EQUAL(got, -CR_ETEMPFAIL);
    flags = CR_CHECKPOINT_TEMP_FAILURE_CODE(1234);
    CHECK_EQUAL(request(CR_SCOPE_PROC, 0, "temp.ctx", CR_CHKPT_ASYNC_ERR, &handle), 0);
    CHECK_EQUAL(finish(&handle), 1234);
    CHECK_EQUAL(got, -1234);
    flags = CR_CHECKPOINT_OMIT;
    CHECK_EQUAL(request(CR_SCOPE_PROC, 0, "omit.ctx", CR_CHKPT_ASYNC_ERR, &handle), 0);
    CHECK_EQUAL(finish(&handle), ESRCH);
    CHECK_EQUAL(got, -CR_EOMITTED);
    CHECK_EQUAL(called, before + 3);
    flags = CR_CHECKPOINT_READY;
    (void)id;
}

int main(void)
{
    cr_client_id_t id = MUST(cr_init());
    int descriptors = count_entries("/proc/self/fd"), status;
    cr_checkpoint_handle_t handle, other;
    struct timeval now = { 0, 0 };
    if (access("child.ctx", F_OK) == 0)
        unlink("child.ctx");
    MUST(cr_register_callback(callback, NULL, CR_SIGNAL_CONTEXT));

    // Oneself: taken before the call returns.
    CHECK(request(CR_SCOPE_PROC, 0, "own.ctx", 0, &handle) == 0, "request: %s", cr_strerror(errno));
    CHECK_EQUAL(called, 1);
    CHECK(size_of("own.ctx") > 0, "nothing was written");
    CHECK_EQUAL(finish(&handle), 0);
    CHECK_EQUAL(cr_status(), CR_STATE_IDLE);
    // In a critical section it waits, and another is refused.
    cr_enter_cs(id);
    CHECK_EQUAL(request(CR_SCOPE_PROC, 0, "own.ctx", 0, &handle), 0);
    CHECK_EQUAL(cr_status(), CR_STATE_PENDING);
    CHECK_EQUAL(called, 1);
    CHECK_EQUAL(cr_wait_checkpoint(&handle, &now), 0);
    CHECK(cr_reap_checkpoint(&handle) == -1 && errno == EAGAIN, "reaped too early");
    CHECK(request(CR_SCOPE_PROC, 0, "other.ctx", 0, &other) == -1 && errno == EBUSY, "two at a time: %d", errno);
    cr_leave_cs(id);
    CHECK_EQUAL(called, 2);
    CHECK_EQUAL(finish(&handle), 0);
    // Two others at the same time.
    pid_t pids[2];
    cr_checkpoint_handle_t handles[2];
    for (int i = 0; i < 2; i++)
        if ((pids[i] = MUST(fork())) == 0)
            for (;;)
                pause();
    for (int i = 0; i < 2; i++)
        CHECK(request(CR_SCOPE_TREE, pids[i], i ? "one.ctx" : "two.ctx", 0, &handles[i]) == 0, "request: %s", cr_strerror(errno));
    CHECK(handles[0] != handles[1], "one handle for two");
    for (int i = 0; i < 2; i++) {
        CHECK_EQUAL(finish(&handles[i]), 0);
        kill(pids[i], SIGKILL);
        MUST(waitpid(pids[i], NULL, 0));
    }
    refusals(id);
    restart_child();
    CHECK(waitpid(-1, &status, WNOHANG | __WALL) == -1 && errno == ECHILD, "a child was left");
    CHECK_EQUAL(count_entries("/proc/self/fd"), descriptors);

    ready();

    CHECK(request(CR_SCOPE_PROC, 0, "own.ctx", 0, &handle) == 0, "request: %s", cr_strerror(errno));
    CHECK_EQUAL(finish(&handle), 0);
    pass();
}
