// Checks locked memory: mlock, mlock2 with MLOCK_ONFAULT, and munlock of a part.
#include "journey.h"

int main(void)
{
    char *now = MUST(mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    char *gap = MUST(mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    char *on_fault = MUST(mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    char *none = MUST(mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    (void)gap, (void)none;
    if (mlock(now, 16 * PAGE))
        skip("memory cannot be locked: %s", strerror(errno));
    MUST(munlock(now + 8 * PAGE, 8 * PAGE));
    MUST(mlock2(on_fault, 16 * PAGE, MLOCK_ONFAULT));
    fill(now, 16 * PAGE, 22);
    fill(on_fault, 2 * PAGE, 23);
    char before[64];
    snprintf(before, sizeof before, "%s", field("/proc/self/status", "VmLck:"));

    ready();

    CHECK_TEXT(field("/proc/self/status", "VmLck:"), before);
    CHECK(has_vm_flag(now, "lo"), "the lock is lost");
    CHECK(!has_vm_flag(now + 8 * PAGE, "lo"), "the unlocked part is locked");
    CHECK(has_vm_flag(on_fault, "lo"), "the lock on fault is lost");
    char value[64];
    CHECK(smaps_line(on_fault, "Rss:", value, sizeof value), "no area");
    CHECK(atoi(value) < 64, "MLOCK_ONFAULT was forgotten: all %s are in memory", value);
    CHECK(smaps_line(now, "Rss:", value, sizeof value), "no area");
    CHECK_EQUAL(atoi(value), 32);
    CHECK_FILLED(now, 16 * PAGE, 22);
    CHECK_FILLED(on_fault, 2 * PAGE, 23);
    pass();
}
