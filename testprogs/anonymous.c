// Checks private anonymous memory: contents, protections, neighbours that must not merge into one another's data.
#include "journey.h"

enum { N = 50 };

int main(void)
{
    static const int protections[3] = { PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE | PROT_EXEC };
    char *area[N];
    for (int i = 0; i < N; i++) {
        size_t length = (i + 1) * PAGE;
        area[i] = MUST(mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        fill(area[i], length, i);
        MUST(mprotect(area[i], length, protections[i % 3]));
    }

    ready();

    for (int i = 0; i < N; i++) {
        char head[256], wanted[8];
        size_t length = (i + 1) * PAGE;
        CHECK_FILLED(area[i], length, i);
        CHECK(smaps_line(area[i], "", head, sizeof head), "area %d is gone", i);
        snprintf(wanted, sizeof wanted, " r%c%cp", i % 3 ? 'w' : '-', i % 3 == 2 ? 'x' : '-');
        CHECK(strstr(head, wanted), "area %d is %s, expected%s", i, head, wanted);
        MUST(mprotect(area[i], length, PROT_READ | PROT_WRITE));
        fill(area[i], length, i + 1000);
        CHECK_FILLED(area[i], length, i + 1000);
        MUST(munmap(area[i], length));
    }
    pass();
}
