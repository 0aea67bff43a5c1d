// Checks a memory area that policies decide about: it comes back whole, or, when its contents were left out, as zeros. What it was is
// written into the file "state": the harness looks at that. The harness knows the area by its size, by its name where areas can have one, or
// because core dumps do not have it.
#include "journey.h"
#include <sys/prctl.h>
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

#define BYTES (64 * PAGE)

int main(void)
{
    // With guards around it the area has no neighbour to be merged with.
    char *guarded = MUST(mmap(NULL, BYTES + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    char *cache = guarded + PAGE;
    MUST(mprotect(cache, BYTES, PROT_READ | PROT_WRITE));
    memset(cache, 'c', BYTES);
    MUST(madvise(cache, BYTES, MADV_DONTDUMP));
    // Kernels before 5.17, and those built without names, do not know it.
    prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, cache, BYTES, "tile cache 1");

    ready();

    for (size_t i = 1; i < BYTES; i++)
        CHECK_EQUAL(cache[i], cache[0]);
    CHECK(cache[0] == 'c' || cache[0] == 0, "the area holds %d", cache[0]);
    const char *word = cache[0] ? "kept" : "zeros";
    int state = MUST(open("state", O_CREAT | O_WRONLY | O_TRUNC, 0600));
    CHECK_EQUAL(write(state, word, strlen(word)), (ssize_t)strlen(word));
    pass();
}
