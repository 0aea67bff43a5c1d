// Checks callbacks in both contexts: their order, nesting, what cr_checkpoint returns, what they are told, hooks, and that nobody goes on before they are done.
// build: -lcr
#include "journey.h"
#include <libcr.h>
#include <pthread.h>

// What happened, a letter an event.
static char trace[4096];
static int traced;
static pid_t main_tid, requester;
static volatile int result, counted;

static void note(const char *what)
{
    static cr_spinlock_t lock = CR_SPINLOCK_INITIALIZER;
    size_t length = strlen(what);
    cr_spinlock_lock(&lock);
    CHECK(traced + length < sizeof trace, "the trace is full");
    memcpy(trace + traced, what, length + 1);
    traced += length;
    cr_spinlock_unlock(&lock);
}

static int body(const char *before, const char *after)
{
    note(before);
    CHECK(cr_get_checkpoint_info() && cr_get_checkpoint_info()->requester > 0, "no information about the checkpoint");
    CHECK_EQUAL(cr_get_checkpoint_info()->target, getpid());
    CHECK_EQUAL(cr_get_checkpoint_info()->scope, CR_SCOPE_TREE);
    CHECK(strstr(cr_get_checkpoint_info()->dest, ".ctx"), "the destination is %s", cr_get_checkpoint_info()->dest);
    CHECK(!cr_get_restart_info(), "information about a restart before one");
    CHECK_EQUAL(cr_status(), CR_STATE_ACTIVE);
    CHECK(cr_register_callback(NULL, NULL, CR_THREAD_CONTEXT) == -1 && errno == EBUSY, "a callback may register");
    CHECK_EQUAL(cr_enter_cs(CR_ID_CALLBACK), 0);
    CHECK_EQUAL(cr_leave_cs(CR_ID_CALLBACK), 0);
    int got = cr_checkpoint(CR_CHECKPOINT_READY);
    CHECK(got >= 0, "cr_checkpoint returned %d", got);
    CHECK_EQUAL(cr_checkpoint(CR_CHECKPOINT_READY), -CR_ENOTCB);
    CHECK(!cr_get_checkpoint_info(), "information about the checkpoint after it");
    CHECK(!cr_get_restart_info() == !got, "information about a restart does not go with %d", got);
    if (got) {
        CHECK_EQUAL(cr_get_restart_info()->requester, got);
        CHECK(strstr(cr_get_restart_info()->src, ".ctx"), "the source is %s", cr_get_restart_info()->src);
        requester = got;
    }
    result = got;
    note(after);
    return 0;
}

static int first_in_thread(void *arg)
{
    CHECK(arg == &counted, "another argument");
    CHECK(gettid() != main_tid, "the main thread runs a callback in thread context");
    body("A", "a");
    int before = counted;
    doze(50);
    CHECK_EQUAL(counted, before);
    return 0;
}

static int second_in_thread(void *arg)
{
    (void)arg;
    return body("B", "b");
}

static int replaced(void *arg)
{
    (void)arg;
    note("!");
    return 0;
}

static int no_call(void *arg)
{
    (void)arg;
    note("N");
    return 0;
}

static int first_in_signal(void *arg)
{
    (void)arg;
    CHECK_EQUAL(pids_are_new() ? main_tid : gettid(), main_tid);
    return body("X", "x");
}

static int second_in_signal(void *arg)
{
    (void)arg;
    return body("Y", "y");
}

static void hook(cr_hook_event_t event)
{
    char letter[2] = { "012345"[event], 0 };
    note(letter);
}

// A thread that has nothing to do with libcr.
static void *worker(void *arg)
{
    while (!__atomic_load_n((int *)arg, __ATOMIC_ACQUIRE))
        counted++;
    return NULL;
}

int main(void)
{
    int stop = 0;
    main_tid = gettid();
    MUST(cr_init());
    MUST(cr_register_callback(first_in_thread, (void *)&counted, CR_THREAD_CONTEXT));
    int id = MUST(cr_register_callback(replaced, NULL, CR_THREAD_CONTEXT));
    MUST(cr_register_callback(NULL, NULL, CR_THREAD_CONTEXT));
    MUST(cr_register_callback(second_in_thread, NULL, CR_THREAD_CONTEXT));
    MUST(cr_register_callback(first_in_signal, NULL, CR_SIGNAL_CONTEXT));
    MUST(cr_register_callback(second_in_signal, NULL, CR_SIGNAL_CONTEXT));
    MUST(cr_replace_callback(id, no_call, NULL, CR_THREAD_CONTEXT));
    for (int event = 0; event < CR_NUM_HOOKS; event++)
        CHECK(cr_register_hook(event, hook) == NULL, "there was a hook");
    pthread_t thread;
    CHECK_EQUAL(pthread_create(&thread, NULL, worker, &stop), 0);

    ready();

    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    // The order in which threads go on is not said; that of each is.
    int continues = !strcmp(journey(), "continue"), stays = !strcmp(journey(), "stay"), lives = !strcmp(journey(), "again") ? 2 : 1;
    if (stays) {
        CHECK_TEXT(trace, "");
    } else if (continues) {
        CHECK(!strncmp(trace, "BNAYX", 5), "before: %s", trace);
        CHECK_EQUAL(strlen(trace), strlen("BNAYXxyab012"));
        CHECK(strstr(trace, "x") < strstr(trace, "y") && strstr(trace, "a") < strstr(trace, "b"), "after: %s", trace);
        CHECK(strchr(trace, '0') && strchr(trace, '1') && strchr(trace, '2'), "hooks: %s", trace);
        CHECK_EQUAL(result, 0);
    } else {
        // Each life was saved once.
        CHECK(!strncmp(trace, "BNAYX", 5), "before: %s", trace);
        CHECK_EQUAL(strlen(trace), lives * strlen("BNAYXxyab012"));
        CHECK(strchr(trace, '3') && strchr(trace, '4') && strchr(trace, '5'), "hooks: %s", trace);
        CHECK(result > 0 && result == requester, "it was restarted by %d", result);
        if (!pids_are_new())
            CHECK_EQUAL(result, getppid());
    }
    pass();
}
