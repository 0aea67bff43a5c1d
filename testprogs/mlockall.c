// Checks mlockall: what is mapped afterwards is locked too (MCL_FUTURE).
#include "journey.h"
#include <sys/resource.h>

int main(void)
{
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_MEMLOCK, &limit));
    limit.rlim_cur = limit.rlim_max;
    MUST(setrlimit(RLIMIT_MEMLOCK, &limit));
    char *before = MUST(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (mlockall(MCL_CURRENT | MCL_FUTURE))
        skip("memory cannot be locked: %s", strerror(errno));
    fill(before, 4 * PAGE, 24);

    ready();

    CHECK_FILLED(before, 4 * PAGE, 24);
    CHECK(has_vm_flag(before, "lo"), "the lock is lost");
    CHECK(has_vm_flag(&limit, "lo"), "the lock on the stack is lost");
    char *after = MUST(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CHECK(has_vm_flag(after, "lo"), "MCL_FUTURE is lost");
    MUST(munlockall());
    CHECK(!has_vm_flag(before, "lo"), "munlockall has no effect");
    pass();
}
