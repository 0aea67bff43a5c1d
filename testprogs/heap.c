// Checks the heap: its contents, that the break is where it was and still moves both ways, and malloc's own state.
#include "journey.h"

enum { N = 1000 };

int main(void)
{
    char *block[N], *start = sbrk(0);
    size_t grown = 3 * MIB + 100;
    CHECK(sbrk((intptr_t)grown) == start, "the break does not grow");
    fill(start, grown, 9);
    for (int i = 0; i < N; i++) {
        block[i] = malloc(10 + i);
        fill(block[i], 10 + i, i);
    }
    for (int i = 0; i < N; i += 3)
        free(block[i]);
    char *end = sbrk(0);

    ready();

    CHECK(sbrk(0) == end, "the break is at %p, was at %p", sbrk(0), (void *)end);
    CHECK_FILLED(start, grown, 9);
    for (int i = 0; i < N; i++)
        if (i % 3)
            CHECK_FILLED(block[i], 10 + i, i);
    CHECK(sbrk(5 * MIB) == end, "the break does not grow afterwards");
    for (size_t i = 0; i < 5 * MIB; i++)
        CHECK(end[i] == 0 || (char *)((uintptr_t)(end + i) & -PAGE) < end, "new heap is not zero at %zu", i);
    fill(end, 5 * MIB, 10);
    CHECK_FILLED(start, grown, 9);
    CHECK(sbrk(-5 * (intptr_t)MIB) == end + 5 * MIB, "the break does not shrink");
    CHECK(sbrk(0) == end, "the break is at %p", sbrk(0));
    for (int i = 0; i < N; i += 3) {
        block[i] = malloc(10 + i);
        fill(block[i], 10 + i, i);
    }
    for (int i = 0; i < N; i++) {
        CHECK_FILLED(block[i], 10 + i, i);
        free(block[i]);
    }
    pass();
}
