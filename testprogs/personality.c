// Checks the execution domain (personality), of a child that chose another one.
#include "journey.h"
#include <sys/personality.h>

int main(void)
{
    int before = MUST(personality(0xffffffff));
    struct gate gate = gate_new();
    pid_t pid = MUST(fork());
    if (pid == 0) {
        MUST(personality(ADDR_NO_RANDOMIZE | SHORT_INODE | WHOLE_SECONDS));
        gate_arrive(&gate);
        wait_for_go();
        CHECK_EQUAL(personality(0xffffffff), ADDR_NO_RANDOMIZE | SHORT_INODE | WHOLE_SECONDS);
        _exit(0);
    }
    gate_collect(&gate, 1);

    ready();

    CHECK_EQUAL(personality(0xffffffff), before);
    REAP(pid);
    pass();
}
