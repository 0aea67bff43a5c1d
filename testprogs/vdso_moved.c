// Checks a vdso that the program itself has moved elsewhere.
#include "journey.h"
#include <sys/auxv.h>

// The range of a named area; of vvar and its sister pages the whole.
static int find(const char *name, char **lo, char **hi)
{
    char line[512];
    unsigned long a, b;
    FILE *maps = fopen("/proc/self/maps", "re");
    *lo = *hi = NULL;
    while (fgets(line, sizeof line, maps))
        if (strstr(line, name) && sscanf(line, "%lx-%lx", &a, &b) == 2) {
            *lo = *lo ? *lo : (char *)a;
            *hi = (char *)b;
        }
    fclose(maps);
    return *lo != NULL;
}

static unsigned long first_word(const char *vdso)
{
    unsigned long word;
    memcpy(&word, vdso, sizeof word);
    return word;
}

int main(void)
{
    char *vvar, *vvar_end, *vdso, *vdso_end, head[256];
    if (!find("[vdso]", &vdso, &vdso_end) || !find("[vvar", &vvar, &vvar_end) || vvar_end != vdso)
        skip("no vdso after a vvar");
    size_t data = vvar_end - vvar, code = vdso_end - vdso;
    unsigned long magic = first_word(vdso);
    char *to = MUST(mmap(NULL, data + code, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    // The parts are separate areas; mremap moves one at a time.
    char *at = vvar;
    while (at < vdso_end) {
        unsigned long lo, hi;
        CHECK(smaps_line(at, "", head, sizeof head) && sscanf(head, "%lx-%lx", &lo, &hi) == 2, "no area at %p", at);
        if (mremap(at, hi - lo, hi - lo, MREMAP_MAYMOVE | MREMAP_FIXED, to + (at - vvar)) == MAP_FAILED)
            skip("the vdso cannot be moved: %s", strerror(errno));
        at = (char *)hi;
    }
    to += data;

    // From here libc's clock calls would jump to the old place: doze() and access() are system calls, and so is this.
    ready();

    CHECK(smaps_line(to, "", head, sizeof head) && strstr(head, "[vdso]"), "the vdso is not where it was moved");
    CHECK(!smaps_line(vdso, "", head, sizeof head), "something is at the vdso's first place: %s", head);
    CHECK_EQUAL(first_word(to), magic);
    pass();
}
