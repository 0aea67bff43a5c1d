// Checks pages of zeros: written with zeros, only read, never touched, and mixed with others.
#include "journey.h"

int main(void)
{
    size_t size = 8 * MIB;
    char *area = MUST(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    char *untouched = MUST(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    int sum = 0;
    memset(area, 0, size / 2);
    for (size_t at = size / 2; at < size; at += PAGE)
        sum += *(volatile char *)(area + at);
    for (size_t at = 0; at < size; at += 16 * PAGE)
        area[at + PAGE - 1] = 9;

    ready();

    CHECK_EQUAL(sum, 0);
    for (size_t at = 0; at < size; at++) {
        int wanted = at % (16 * PAGE) == PAGE - 1 ? 9 : 0;
        CHECK(area[at] == wanted, "byte %zu is %d", at, area[at]);
    }
    char value[64];
    CHECK(smaps_line(untouched, "", value, sizeof value), "the untouched area is gone");
    for (size_t at = 0; at < size; at += PAGE)
        CHECK_EQUAL(untouched[at], 0);
    untouched[5] = 5;
    CHECK_EQUAL(untouched[5], 5);
    pass();
}
