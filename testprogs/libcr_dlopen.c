// Checks libcr loaded with dlopen(3) and closed again: what was registered stays in force, and nothing jumps into memory that is gone.
// build: -DWITH_LIBCR
#include "journey.h"
#include <dlfcn.h>
#include <libcr.h>

static volatile int result = -1;
static int (*checkpoint)(int);

static int callback(void *arg)
{
    (void)arg;
    result = checkpoint(CR_CHECKPOINT_READY);
    return 0;
}

static void *symbol(void *library, const char *name)
{
    void *found = dlsym(library, name);
    CHECK(found, "%s: %s", name, dlerror());
    return found;
}

int main(void)
{
    for (int turn = 0; turn < 3; turn++) {
        void *library = dlopen("libcr.so.0", RTLD_NOW);
        CHECK(library, "%s", dlerror());
        cr_client_id_t (*init)(void) = symbol(library, "cr_init");
        cr_callback_id_t (*add)(cr_callback_t, void *, int) = symbol(library, "cr_register_callback");
        checkpoint = symbol(library, "cr_checkpoint");
        MUST(init());
        if (turn == 0)
            MUST(add(callback, NULL, CR_THREAD_CONTEXT));
        MUST(dlclose(library));
    }

    ready();

    if (!strcmp(journey(), "stay"))
        CHECK_EQUAL(result, -1);
    else if (!strcmp(journey(), "continue"))
        CHECK_EQUAL(result, 0);
    else
        CHECK(result > 0, "the callback was not told of the restart: %d", result);
    pass();
}
