// Checks huge, nearly empty areas: 1 TiB reserved without access, 64 GiB without reserve touched at three places.
#include "journey.h"

int main(void)
{
    size_t gib = 1024 * MIB;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    char *reserved = mmap(NULL, 1024 * gib, PROT_NONE, flags, -1, 0);
    char *sparse = mmap(NULL, 64 * gib, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (reserved == MAP_FAILED || sparse == MAP_FAILED)
        skip("no room for huge areas: %s", strerror(errno));
    size_t places[3] = { 0, 33 * gib + 5 * PAGE, 64 * gib - PAGE };
    MUST(madvise(sparse, 64 * gib, MADV_NOHUGEPAGE));
    for (int i = 0; i < 3; i++)
        fill(sparse + places[i], PAGE, i);
    // A small part of the reserve is in use.
    MUST(mprotect(reserved + 500 * gib, MIB, PROT_READ | PROT_WRITE));
    fill(reserved + 500 * gib, MIB, 30);

    ready();

    for (int i = 0; i < 3; i++)
        CHECK_FILLED(sparse + places[i], PAGE, i);
    CHECK_FILLED(reserved + 500 * gib, MIB, 30);
    CHECK_EQUAL(sparse[20 * gib], 0);
    CHECK(has_vm_flag(sparse, "nr"), "MAP_NORESERVE is lost");
    char head[256];
    unsigned long lo, hi;
    CHECK(smaps_line(reserved, "", head, sizeof head) && sscanf(head, "%lx-%lx", &lo, &hi) == 2, "the reserve is gone");
    // It may have merged with a neighbour below.
    CHECK(hi == (unsigned long)(reserved + 500 * gib), "the reserve is %s", head);
    MUST(mprotect(reserved + 1024 * gib - PAGE, PAGE, PROT_READ | PROT_WRITE));
    reserved[1024 * gib - 1] = 1;
    pass();
}
