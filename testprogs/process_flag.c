// Checks small settings of a process: the core dump filter, transparent huge pages off, and machine check policy.
#include "journey.h"
#include <sys/prctl.h>

static unsigned long core_filter(void)
{
    char text[32];
    CHECK(slurp("/proc/self/coredump_filter", text, sizeof text) > 0, "cannot read coredump_filter");
    return strtoul(text, NULL, 16);
}

int main(void)
{
    int fd = open("/proc/self/coredump_filter", O_WRONLY);
    if (fd >= 0) {
        CHECK_EQUAL(write(fd, "0x7f", 4), 4);
        close(fd);
    }
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_LATE, 0, 0);
    // What this kernel does not have is the same before and after.
    unsigned long filter = fd >= 0 ? core_filter() : 0;
    int huge = prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), check = prctl(PR_MCE_KILL_GET, 0, 0, 0, 0);

    ready();

    CHECK_EQUAL(fd >= 0 ? core_filter() : 0, filter);
    CHECK_EQUAL(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), huge);
    CHECK_EQUAL(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0), check);
    pass();
}
