// Checks shared anonymous memory: what one process of a tree writes the others see, before and after; also where it
// is mapped in parts, twice in one process, or with other protections.
#include "journey.h"

int main(void)
{
    size_t size = 64 * PAGE;
    char *area = MUST(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    char *other = MUST(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    // A length of 0 duplicates a shared mapping.
    char *twice = MUST(mremap(area, 0, 16 * PAGE, MREMAP_MAYMOVE));
    volatile char *flag = area + 63 * PAGE;
    struct gate gate = gate_new();
    fill(area, 32 * PAGE, 14);
    other[0] = 1;
    pid_t pid = MUST(fork());
    if (pid == 0) {
        // Only a part of it is left here, and read-only.
        MUST(munmap(area, 20 * PAGE));
        MUST(mprotect(area + 20 * PAGE, 12 * PAGE, PROT_READ));
        MUST(munmap(twice, 16 * PAGE));
        MUST(mremap(other, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, area - 4 * MIB));
        other = area - 4 * MIB;
        gate_arrive(&gate);
        while (*flag != 1)
            doze(5);
        CHECK_FILLED(area + 20 * PAGE, 12 * PAGE, 14 + 20 * PAGE);
        area[40 * PAGE] = 40;
        other[3 * PAGE] = 3;
        *flag = 2;
        _exit(0);
    }
    gate_collect(&gate, 1);

    ready();

    CHECK_FILLED(area, 32 * PAGE, 14);
    CHECK_FILLED(twice, 16 * PAGE, 14);
    *flag = 1;
    REAP(pid);
    CHECK_EQUAL(area[40 * PAGE], 40);
    CHECK_EQUAL(other[3 * PAGE], 3);
    CHECK_EQUAL(other[0], 1);
    twice[9] = 99;
    CHECK_EQUAL(area[9], 99);
    CHECK_EQUAL(area[50 * PAGE], 0);
    pass();
}
