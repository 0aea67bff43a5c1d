// Checks protections, with contents underneath that the process itself cannot reach at the time.
#include "journey.h"

// Only these four letters: where areas of equal permissions meet, the kernel may merge them or not.
static void permissions(const void *address, char *letters)
{
    char head[256];
    CHECK(smaps_line(address, "", head, sizeof head), "no area at %p", address);
    CHECK(sscanf(head, "%*s %4s", letters) == 1, "the area is %s", head);
}

int main(void)
{
    static const int protections[] = {
        PROT_NONE, PROT_READ, PROT_WRITE, PROT_READ | PROT_WRITE, PROT_EXEC, PROT_READ | PROT_EXEC,
    };
    enum { N = sizeof protections / sizeof *protections };
    char *area = MUST(mmap(NULL, 2 * N * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    char *shared = MUST(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    char before[N][8], now[8];
    fill(area, 2 * N * PAGE, 25);
    fill(shared, 4 * PAGE, 26);
    for (int i = 0; i < N; i++) {
        MUST(mprotect(area + 2 * i * PAGE, 2 * PAGE, protections[i]));
        permissions(area + 2 * i * PAGE, before[i]);
    }
    MUST(mprotect(shared, 4 * PAGE, PROT_NONE));

    ready();

    for (int i = 0; i < N; i++) {
        permissions(area + 2 * i * PAGE, now);
        CHECK_TEXT(now, before[i]);
        permissions(area + (2 * i + 1) * PAGE, now);
        CHECK_TEXT(now, before[i]);
    }
    MUST(mprotect(area, 2 * N * PAGE, PROT_READ));
    CHECK_FILLED(area, 2 * N * PAGE, 25);
    MUST(mprotect(shared, 4 * PAGE, PROT_READ | PROT_WRITE));
    CHECK_FILLED(shared, 4 * PAGE, 26);
    pass();
}
