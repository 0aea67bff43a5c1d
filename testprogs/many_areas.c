// Checks two thousand areas of one page each, alternating in protection so that they cannot merge.
#include "journey.h"

enum { N = 2000 };

static int count_areas(void)
{
    int n = 0, c;
    FILE *maps = fopen("/proc/self/maps", "re");
    while ((c = getc(maps)) != EOF)
        n += c == '\n';
    fclose(maps);
    return n;
}

int main(void)
{
    char *area = MUST(mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    fill(area, N * PAGE, 31);
    for (int i = 0; i < N; i += 2)
        MUST(mprotect(area + i * PAGE, PAGE, PROT_READ));
    int before = count_areas();

    ready();

    int now = count_areas();
    CHECK(now >= N, "only %d areas, were %d", now, before);
    CHECK_FILLED(area, N * PAGE, 31);
    for (int i = 1; i < N; i += 2)
        area[i * PAGE] = 1;
    MUST(mprotect(area, N * PAGE, PROT_READ | PROT_WRITE));
    fill(area, N * PAGE, 32);
    CHECK_FILLED(area, N * PAGE, 32);
    pass();
}
