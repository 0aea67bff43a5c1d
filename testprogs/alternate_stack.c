// Checks the alternate signal stack of the process, set and disabled (SS_AUTODISARM too), by a real stack overflow.
#include "journey.h"
#include <setjmp.h>
#include <sys/resource.h>
#pragma GCC diagnostic ignored "-Winfinite-recursion"
#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

static char memory[65536];
static sigjmp_buf back;

static void overflow(int signal)
{
    char here;
    uintptr_t at = (uintptr_t)&here;
    siglongjmp(back, at >= (uintptr_t)memory && at < (uintptr_t)memory + sizeof memory ? signal : -1);
}

__attribute__((noinline)) static int recurse(volatile int *depth)
{
    volatile char frame[10000];
    frame[0] = (char)*depth;
    ++*depth;
    return recurse(depth) + frame[0];
}

int main(void)
{
    stack_t stack = { .ss_sp = memory, .ss_size = sizeof memory, .ss_flags = (int)SS_AUTODISARM }, now;
    struct sigaction action = { .sa_handler = overflow, .sa_flags = SA_ONSTACK };
    struct rlimit limit = { MIB, MIB };
    volatile int depth = 0;
    MUST(setrlimit(RLIMIT_STACK, &limit));
    MUST(sigaction(SIGSEGV, &action, NULL));
    MUST(sigaltstack(&stack, NULL));

    ready();

    MUST(sigaltstack(NULL, &now));
    CHECK(now.ss_sp == memory && now.ss_size == sizeof memory, "the stack is %p", now.ss_sp);
    CHECK_EQUAL((unsigned)now.ss_flags, SS_AUTODISARM);
    int signal = sigsetjmp(back, 1);
    if (!signal)
        recurse(&depth);
    CHECK_EQUAL(signal, SIGSEGV);
    CHECK(depth > 50, "the stack was only %d frames deep", depth);
    pass();
}
