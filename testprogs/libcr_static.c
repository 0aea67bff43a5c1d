// Checks a program that is linked statically, libcr too.
// build: -static -l:libcr.a
#include "journey.h"
#include <libcr.h>

static volatile int result = -1;

static int callback(void *arg)
{
    (void)arg;
    result = cr_checkpoint(CR_CHECKPOINT_READY);
    return 0;
}

int main(void)
{
    MUST(cr_init());
    MUST(cr_register_callback(callback, NULL, CR_THREAD_CONTEXT));
    MUST(cr_register_callback(callback, NULL, CR_SIGNAL_CONTEXT));

    ready();

    if (!strcmp(journey(), "stay"))
        CHECK_EQUAL(result, -1);
    else if (!strcmp(journey(), "continue"))
        CHECK_EQUAL(result, 0);
    else
        CHECK(result > 0, "the callback was not told of the restart: %d", result);
    pass();
}
