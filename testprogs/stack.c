// Checks the main stack: deep frames from before, and that it still grows by itself afterwards up to its limit.
#include "journey.h"
#include <sys/resource.h>


__attribute__((noinline)) static void dive(int depth, void (*bottom)(void))
{
    char frame[3000];
    fill(frame, sizeof frame, depth);
    if (depth)
        dive(depth - 1, bottom);
    else
        bottom();
    CHECK_FILLED(frame, sizeof frame, depth);
}

static void nothing(void)
{
}

static void look_after_ready(void)
{
    ready();
    // 2 MiB deeper than ever.
    dive(700, nothing);
}

int main(void)
{
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_STACK, &limit));
    if (limit.rlim_cur < 6 * MIB)
        skip("the stack may have only %lu bytes", (unsigned long)limit.rlim_cur);
    dive(700, look_after_ready);
    dive(1600, nothing);
    char head[256];
    CHECK(smaps_line(&limit, "", head, sizeof head) && strstr(head, "[stack]"), "the stack is %s", head);
    pass();
}
