// Checks a large memory: 256 MiB, half of it pseudo-random, with a few protections and holes.
#include "journey.h"

int main(void)
{
    size_t size = 256 * MIB;
    char *area = MUST(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (size_t at = 0; at < size; at += 2 * MIB)
        fill(area + at, MIB, at);
    MUST(mprotect(area + 64 * MIB, 2 * MIB, PROT_READ));
    MUST(munmap(area + 129 * MIB, MIB));

    ready();

    for (size_t at = 0; at < size; at += 2 * MIB) {
        CHECK_FILLED(area + at, MIB, at);
        if (at != 128 * MIB)
            CHECK_EQUAL(area[at + MIB + 12345], 0);
    }
    pass();
}
