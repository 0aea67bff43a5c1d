// Checks the process name (PR_SET_NAME), also one with odd characters in a child, and an empty one in another.
#include "journey.h"
#include <sys/prctl.h>

static struct gate gate;

static void child(void *arg)
{
    char now[16];
    MUST(prctl(PR_SET_NAME, arg));
    gate_arrive(&gate);
    wait_for_go();
    MUST(prctl(PR_GET_NAME, now));
    CHECK_TEXT(now, (char *)arg);
}

int main(void)
{
    char now[16];
    gate = gate_new();
    MUST(prctl(PR_SET_NAME, "renamed"));
    pid_t odd = spawn(child, ") R 1 (\n\\x"), empty = spawn(child, "");
    gate_collect(&gate, 2);

    ready();

    MUST(prctl(PR_GET_NAME, now));
    CHECK_TEXT(now, "renamed");
    REAP(odd);
    REAP(empty);
    pass();
}
