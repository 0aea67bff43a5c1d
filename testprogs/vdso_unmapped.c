// Checks a program that has unmapped its vdso, as sandboxes do.
#include "journey.h"

static int unmap(const char *name)
{
    char line[512];
    unsigned long lo = 0, hi = 0, a, b;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (fgets(line, sizeof line, maps))
        if (strstr(line, name) && sscanf(line, "%lx-%lx", &a, &b) == 2) {
            lo = lo ? lo : a;
            hi = b;
        }
    fclose(maps);
    return hi ? munmap((void *)lo, hi - lo) : 0;
}

int main(void)
{
    char text[65536];
    if (unmap("[vvar") || unmap("[vdso]"))
        skip("the vdso cannot be unmapped: %s", strerror(errno));

    ready();

    CHECK(slurp("/proc/self/maps", text, sizeof text) > 0, "cannot read maps");
    CHECK(!strstr(text, "[vdso]"), "there is a vdso again");
    CHECK(!strstr(text, "[vvar"), "there is a vvar again");
    pass();
}
