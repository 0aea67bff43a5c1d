// Checks the file creation mask, different in main and a child.
#include "journey.h"

int main(void)
{
    struct stat st;
    struct gate gate = gate_new();
    pid_t pid = MUST(fork());
    if (pid == 0) {
        umask(0777);
        gate_arrive(&gate);
        wait_for_go();
        CHECK_EQUAL(umask(0), 0777);
        _exit(0);
    }
    umask(0135);
    gate_collect(&gate, 1);

    ready();

    MUST(fstat(MUST(open("made", O_WRONLY | O_CREAT, 0777)), &st));
    CHECK_EQUAL(st.st_mode & 0777, 0777 & ~0135);
    CHECK_EQUAL(umask(0), 0135);
    REAP(pid);
    pass();
}
