// Answers a checkpoint as its argument says: temp, perm, omit, hang, spoil; code gives a failure of its own number. Run by integration/participants.rs.
// build: -lcr
#include "journey.h"
#include <libcr.h>

static int callback(void *arg)
{
    const char *how = arg;
    if (!strcmp(how, "temp"))
        CHECK_EQUAL(cr_checkpoint(CR_CHECKPOINT_TEMP_FAILURE), -CR_ETEMPFAIL);
    if (!strcmp(how, "code"))
        CHECK_EQUAL(cr_checkpoint(CR_CHECKPOINT_TEMP_FAILURE_CODE(77)), -77);
    if (!strcmp(how, "perm"))
        cr_checkpoint(CR_CHECKPOINT_PERM_FAILURE);
    if (!strcmp(how, "omit"))
        CHECK_EQUAL(cr_checkpoint(CR_CHECKPOINT_OMIT), -CR_EOMITTED);
    if (!strcmp(how, "hang")) {
        doze(4000);
        CHECK(cr_checkpoint(CR_CHECKPOINT_READY) < 0, "a checkpoint that was given up succeeded");
    }
    if (!strcmp(how, "spoil")) {
        cr_checkpoint(CR_CHECKPOINT_READY);
        return 9;
    }
    return 0;
}

int main(int argc, char **argv)
{
    CHECK(argc == 2, "one argument is needed");
    MUST(cr_init());
    MUST(cr_register_callback(callback, argv[1], CR_THREAD_CONTEXT));
    ready();
    // The last of the callback may still run.
    while (cr_status() != CR_STATE_IDLE)
        doze(10);
    pass();
}
