// Checks a memory area that policies decide about: it comes back whole, or, when its contents were left out, as zeros. What it was is
// written into the file "state": the harness looks at that. The harness knows the area by its size.
#include "journey.h"

#define BYTES (64 * PAGE)

int main(void)
{
    // With guards around it the area has no neighbour to be merged with.
    char *guarded = MUST(mmap(NULL, BYTES + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    char *cache = guarded + PAGE;
    MUST(mprotect(cache, BYTES, PROT_READ | PROT_WRITE));
    memset(cache, 'c', BYTES);

    ready();

    for (size_t i = 1; i < BYTES; i++)
        CHECK_EQUAL(cache[i], cache[0]);
    CHECK(cache[0] == 'c' || cache[0] == 0, "the area holds %d", cache[0]);
    const char *word = cache[0] ? "kept" : "zeros";
    int state = MUST(open("state", O_CREAT | O_WRONLY | O_TRUNC, 0600));
    CHECK_EQUAL(write(state, word, strlen(word)), (ssize_t)strlen(word));
    pass();
}
