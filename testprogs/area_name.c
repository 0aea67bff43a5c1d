// Checks names of anonymous areas (PR_SET_VMA_ANON_NAME).
// needs: area_names
#include "journey.h"
#include <sys/prctl.h>
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

int main(void)
{
    static const char *const names[] = { "heap of the interpreter", "b", "punctuation: (x) <y> #1" };
    char *area[3], before[3][256], now[256];
    for (int i = 0; i < 3; i++) {
        area[i] = MUST(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        fill(area[i], 4 * PAGE, i);
        if (prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, area[i], 4 * PAGE, names[i]))
            skip("areas cannot be named: %s", strerror(errno));
        CHECK(smaps_line(area[i], "", before[i], sizeof before[i]), "no area");
        CHECK(strstr(before[i], names[i]), "the area is %s", before[i]);
    }

    ready();

    for (int i = 0; i < 3; i++) {
        CHECK(smaps_line(area[i], "", now, sizeof now), "area %d is gone", i);
        CHECK_TEXT(now, before[i]);
        CHECK_FILLED(area[i], 4 * PAGE, i);
    }
    pass();
}
