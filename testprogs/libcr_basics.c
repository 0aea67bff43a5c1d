// Checks what libcr does without a checkpoint: constants and layouts, initialisation of threads, registration, critical sections, spin locks, hooks, words.
// build: -lcr
#include "journey.h"
#include <libcr.h>
#include <dirent.h>
#include <pthread.h>

_Static_assert(sizeof(cr_checkpoint_args_t) == 28 && sizeof(cr_restart_args_t) == 24, "arguments");
_Static_assert(sizeof(struct cr_checkpoint_info) == 32 && sizeof(struct cr_restart_info) == 16, "information");
_Static_assert(offsetof(cr_checkpoint_args_t, cr_flags) == 24 && offsetof(cr_restart_args_t, cr_relocate) == 16, "fields");
_Static_assert(offsetof(struct cr_checkpoint_info, scope) == 24 && offsetof(struct cr_restart_info, src) == 8, "fields");
_Static_assert(sizeof(struct cr_rstrt_relocate) == 8 && sizeof(struct cr_rstrt_path_pair) == 16, "relocations");

#define FAILS(call, number) CHECK((call) == -1 && errno == (number), "%s: errno %d", #call, errno)

static int never(void *arg)
{
    (void)arg;
    fail_at(__FILE__, __LINE__, "a callback was run");
}

static void hook(cr_hook_event_t event)
{
    (void)event;
}

static int count_entries(const char *path)
{
    DIR *dir = opendir(path);
    int n = 0;
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

// A thread that has not called cr_init.
static void *stranger(void *arg)
{
    (void)arg;
    FAILS(cr_register_callback(never, NULL, CR_THREAD_CONTEXT), CR_ENOINIT);
    FAILS(cr_enter_cs(0), CR_ENOINIT);
    FAILS(cr_leave_cs(0), CR_ENOINIT);
    FAILS(cr_tryenter_cs(0), CR_ENOINIT);
    FAILS(cr_status(), CR_ENOINIT);
    FAILS(cr_inc_persist(), CR_ENOINIT);
    FAILS(cr_hold_ctrl(CR_HOLD_SCOPE_THREAD, CR_HOLD_READ), CR_ENOINIT);
    CHECK(cr_register_hook(CR_HOOK_CONT_THREAD_CONTEXT, hook) == CR_HOOK_FN_ERROR && errno == CR_ENOINIT, "a hook of a stranger");
    CHECK_EQUAL(cr_checkpoint(CR_CHECKPOINT_READY), -CR_ENOTCB);
    cr_client_id_t id = MUST(cr_init());
    CHECK_EQUAL(cr_enter_cs(id), 0);
    // Ends in its critical section.
    return NULL;
}

static pthread_key_t key;

// Runs after libcr's own destructor if that comes first; the count keeps what libcr knows.
static void destroy(void *arg)
{
    CHECK_EQUAL(cr_status(), CR_STATE_IDLE);
    CHECK_EQUAL(cr_dec_persist(), 1);
    *(int *)arg = 1;
}

static void *persistent(void *arg)
{
    MUST(cr_init());
    pthread_setspecific(key, arg);
    CHECK_EQUAL(cr_inc_persist(), 0);
    return NULL;
}

static void in_thread(void *(*body)(void *), void *arg)
{
    pthread_t thread;
    CHECK_EQUAL(pthread_create(&thread, NULL, body, arg), 0);
    pthread_join(thread, NULL);
}

static volatile sig_atomic_t handled;
static cr_client_id_t client;

static void in_handler(int signal)
{
    (void)signal;
    CHECK_EQUAL(cr_enter_cs(client), 0);
    CHECK_EQUAL(cr_leave_cs(client), 0);
    handled++;
}

static void sections(void)
{
    FAILS(cr_enter_cs(client + 1), EINVAL);
    FAILS(cr_leave_cs(client), EINVAL);
    FAILS(cr_enter_cs(CR_ID_CALLBACK), CR_ENOTCB);
    for (int i = 0; i < 3; i++)
        CHECK_EQUAL(cr_enter_cs(client), 0);
    CHECK_EQUAL(cr_tryenter_cs(client), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQUAL(cr_leave_cs(client), 0);
    FAILS(cr_leave_cs(client), EINVAL);
    signal(SIGUSR1, in_handler);
    for (int i = 0; i < 100; i++) {
        cr_enter_cs(client);
        raise(SIGUSR1);
        cr_leave_cs(client);
        raise(SIGUSR1);
    }
    CHECK_EQUAL(handled, 200);
}

static void callbacks(void)
{
    int before = count_entries("/proc/self/task");
    int first = MUST(cr_register_callback(NULL, NULL, CR_SIGNAL_CONTEXT));
    CHECK_EQUAL(first, CR_SIGNAL_CONTEXT);
    CHECK_EQUAL(MUST(cr_register_callback(NULL, NULL, CR_SIGNAL_CONTEXT)), CR_SIGNAL_CONTEXT | 1);
    CHECK_EQUAL(count_entries("/proc/self/task"), before);
    FAILS(cr_register_callback(never, NULL, 0), EINVAL);
    FAILS(cr_register_callback(never, NULL, CR_SIGNAL_CONTEXT | CR_THREAD_CONTEXT), EINVAL);
    FAILS(cr_replace_callback(first, never, NULL, CR_THREAD_CONTEXT), EINVAL);
    FAILS(cr_replace_callback(first + 2, never, NULL, CR_SIGNAL_CONTEXT), EINVAL);
    CHECK_EQUAL(cr_replace_callback(first, never, NULL, CR_SIGNAL_CONTEXT), 0);
    CHECK_EQUAL(cr_replace_callback(first, NULL, NULL, CR_SIGNAL_CONTEXT), 0);
    FAILS(cr_replace_self(never, NULL, CR_SIGNAL_CONTEXT), CR_ENOTCB);
    FAILS(cr_forward_checkpoint(CR_SCOPE_TREE, getpid()), CR_ENOTCB);
    CHECK(!cr_get_checkpoint_info() && !cr_get_restart_info(), "information outside of a callback");
    for (int i = 0; i < 1000; i++)
        MUST(cr_register_callback(NULL, NULL, CR_THREAD_CONTEXT));
    CHECK_EQUAL(count_entries("/proc/self/task"), before + 1);
}

static void settings(void)
{
    CHECK(cr_register_hook(CR_HOOK_RSTRT_THREAD_CONTEXT, hook) == NULL, "there was a hook");
    CHECK(cr_register_hook(CR_HOOK_RSTRT_THREAD_CONTEXT, NULL) == hook, "there was none");
    CHECK(cr_register_hook(CR_NUM_HOOKS, hook) == CR_HOOK_FN_ERROR && errno == EINVAL, "an event of no name");
    CHECK_EQUAL(cr_hold_ctrl(CR_HOLD_SCOPE_THREAD, CR_HOLD_READ), CR_HOLD_DFLT);
    CHECK_EQUAL(cr_hold_ctrl(CR_HOLD_SCOPE_INIT, CR_HOLD_READ), CR_HOLD_BOTH);
    CHECK_EQUAL(cr_hold_ctrl(CR_HOLD_SCOPE_UNINIT, CR_HOLD_NONE), CR_HOLD_BOTH);
    CHECK_EQUAL(cr_hold_ctrl(CR_HOLD_SCOPE_UNINIT, CR_HOLD_BOTH), CR_HOLD_NONE);
    FAILS(cr_hold_ctrl(3, CR_HOLD_READ), EINVAL);
    FAILS(cr_hold_ctrl(CR_HOLD_SCOPE_INIT, 5), EINVAL);
    FAILS(cr_dec_persist(), ERANGE);
    cr_spinlock_t lock = CR_SPINLOCK_INITIALIZER;
    CHECK(cr_spinlock_trylock(&lock) != 0, "a free lock is taken");
    CHECK_EQUAL(cr_spinlock_trylock(&lock), 0);
    cr_spinlock_unlock(&lock);
    cr_spinlock_lock(&lock);
    cr_spinlock_init(&lock);
    CHECK(cr_spinlock_trylock(&lock) != 0, "a fresh lock is taken");
    for (int number = CR_MIN_ERRCODE + 1; number < CR_MAX_ERRCODE; number++)
        CHECK(!strstr(cr_strerror(number), "Unknown"), "no words for %d", number);
    CHECK_TEXT(cr_strerror(ENOENT), strerror(ENOENT));
}

int main(void)
{
    int descriptors = count_entries("/proc/self/fd");
    CHECK_EQUAL(cri_signum, CR_SIGNUM);
    CHECK_EQUAL(SIGRTMAX, CR_SIGNUM - 1);
    FAILS(cr_enter_cs(0), CR_ENOINIT);
    client = MUST(cr_init());
    CHECK(cr_init() > client, "ids do not grow");
    client = MUST(cr_init());
    CHECK_EQUAL(cr_status(), CR_STATE_IDLE);
    sections();
    callbacks();
    settings();
    in_thread(stranger, NULL);
    int destroyed = 0;
    pthread_key_create(&key, destroy);
    in_thread(persistent, &destroyed);
    CHECK_EQUAL(destroyed, 1);
    CHECK_EQUAL(count_entries("/proc/self/fd"), descriptors);

    pid_t pid = MUST(fork());
    if (pid == 0) {
        FAILS(cr_status(), CR_ENOINIT);
        cr_client_id_t id = MUST(cr_init());
        CHECK_EQUAL(cr_enter_cs(id), 0);
        CHECK_EQUAL(cr_leave_cs(id), 0);
        CHECK_EQUAL(MUST(cr_register_callback(NULL, NULL, CR_THREAD_CONTEXT)), CR_THREAD_CONTEXT);
        wait_for_go();
        CHECK_EQUAL(cr_status(), CR_STATE_IDLE);
        _exit(0);
    }

    ready();

    CHECK_EQUAL(cr_status(), CR_STATE_IDLE);
    CHECK_EQUAL(cr_enter_cs(client), 0);
    CHECK_EQUAL(cr_leave_cs(client), 0);
    CHECK_EQUAL(count_entries("/proc/self/fd"), descriptors);
    REAP(pid);
    pass();
}
