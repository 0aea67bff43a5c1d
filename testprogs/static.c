// Checks a statically linked program: no dynamic linker, its own thread area and heap, the vdso through its own libc.
// build: -static
#include "journey.h"

static __thread int local = 7;

int main(void)
{
    char *heap = malloc(MIB);
    struct timespec before, after;
    CHECK(heap, "malloc failed");
    fill(heap, MIB, 1);
    local = 8;
    MUST(clock_gettime(CLOCK_REALTIME, &before));

    ready();

    CHECK_FILLED(heap, MIB, 1);
    CHECK_EQUAL(local, 8);
    MUST(clock_gettime(CLOCK_REALTIME, &after));
    CHECK(after.tv_sec >= before.tv_sec, "time went from %ld to %ld", before.tv_sec, after.tv_sec);
    free(heap);
    CHECK(malloc(100 * MIB), "malloc failed");
    pass();
}
