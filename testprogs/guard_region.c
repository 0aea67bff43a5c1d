// Checks guard regions (MADV_GUARD_INSTALL): touching them faults, and removing them gives zero pages.
// needs: guard_regions
#include "journey.h"
#include <setjmp.h>
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

static sigjmp_buf back;

static void fault(int signal)
{
    siglongjmp(back, signal);
}

static int touch(volatile char *address)
{
    int signal = sigsetjmp(back, 1);
    if (!signal)
        (void)*address;
    return signal;
}

int main(void)
{
    enum { N = 64 };
    char *area = MUST(mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    signal(SIGSEGV, fault);
    fill(area, N * PAGE, 11);
    // Single ones, and a run of eight.
    for (int i = 0; i < 32; i += 4)
        if (madvise(area + i * PAGE, PAGE, MADV_GUARD_INSTALL))
            skip("no guard regions: %s", strerror(errno));
    MUST(madvise(area + 40 * PAGE, 8 * PAGE, MADV_GUARD_INSTALL));

    ready();

    for (int i = 0; i < N; i++) {
        int guarded = i < 32 ? i % 4 == 0 : 40 <= i && i < 48;
        CHECK(touch(area + i * PAGE) == (guarded ? SIGSEGV : 0), "page %d is %sguarded", i, guarded ? "not " : "");
        if (!guarded)
            CHECK_FILLED(area + i * PAGE, PAGE, 11 + i * PAGE);
    }
    MUST(madvise(area, N * PAGE, MADV_GUARD_REMOVE));
    CHECK_EQUAL(area[0] | area[41 * PAGE], 0);
    CHECK_FILLED(area + PAGE, PAGE, 11 + PAGE);
    pass();
}
