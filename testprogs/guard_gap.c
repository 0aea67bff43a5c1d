// Checks that what was not mapped still is not: holes between areas, and the gaps that programs keep beside stacks.
#include "journey.h"
#include <setjmp.h>

static sigjmp_buf back;

static void fault(int signal)
{
    siglongjmp(back, signal);
}

// The signal that touching an address raises, 0 if none.
static int touch(volatile char *address)
{
    int signal = sigsetjmp(back, 1);
    if (!signal)
        *address = 1;
    return signal;
}

int main(void)
{
    char *area = MUST(mmap(NULL, 64 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    signal(SIGSEGV, fault);
    for (int i = 0; i < 64; i += 2)
        MUST(mprotect(area + i * PAGE, PAGE, PROT_READ | PROT_WRITE));
    for (int i = 1; i < 64; i += 4)
        MUST(munmap(area + i * PAGE, PAGE));
    for (int i = 0; i < 64; i += 2)
        area[i * PAGE] = (char)i;

    ready();

    for (int i = 0; i < 64; i++) {
        if (i % 2 == 0)
            CHECK_EQUAL(area[i * PAGE], i);
        CHECK_EQUAL(touch(area + i * PAGE), i % 2 ? SIGSEGV : 0);
    }
    CHECK_EQUAL(touch((char *)8), SIGSEGV);
    pass();
}
