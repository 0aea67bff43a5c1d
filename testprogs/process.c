// Checks one process: its pid, its parent's existence, its arguments, environment, working state and plain memory.
#include "journey.h"

static char data[100] = "initialised data";
static char bss[100];

int main(int argc, char **argv)
{
    pid_t pid = getpid(), tid = own_tid();
    char *heap = strdup("heap");
    char local[] = "stack";
    strcpy(bss, "bss");
    MUST(setenv("REPRISE_TEST", "kept", 1));

    ready();

    if (!pids_are_new()) {
        CHECK_EQUAL(getpid(), pid);
        CHECK_EQUAL(own_tid(), tid);
    }
    CHECK_EQUAL(getpid(), own_tid());
    CHECK(getppid() > 0, "the parent is %d", getppid());
    CHECK_EQUAL(argc, 1);
    CHECK(strstr(argv[0], "process"), "argv[0] is %s", argv[0]);
    CHECK_TEXT(data, "initialised data");
    CHECK_TEXT(bss, "bss");
    CHECK_TEXT(heap, "heap");
    CHECK_TEXT(local, "stack");
    CHECK_TEXT(getenv("REPRISE_TEST"), "kept");
    pass();
}
