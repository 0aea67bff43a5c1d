// Checks reservations of addresses that are far larger than memory: without access, read-only, and of a sparse file. What was touched of them stays.
#include "journey.h"

#define GIB (1UL << 30)

static char *map(size_t bytes, int prot, int fd)
{
    char *area = mmap(NULL, bytes, prot, MAP_PRIVATE | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
    if (area == MAP_FAILED)
        skip("no addresses for %zu GiB", bytes / GIB);
    return area;
}

int main(void)
{
    char path[] = "sparse";
    int fd = MUST(open(path, O_RDWR | O_CREAT, 0600));
    if (ftruncate(fd, 256 * GIB))
        skip("no files of 256 GiB here");
    CHECK_EQUAL(pwrite(fd, "file", 4, 100 * GIB), 4);
    char *none = map(1024 * GIB, PROT_NONE, -1);
    char *nothing = map(256 * GIB, PROT_READ, -1);
    char *file = map(256 * GIB, PROT_READ, fd);
    // A little of the reservation is used.
    MUST(mprotect(none + 512 * GIB, PAGE, PROT_READ | PROT_WRITE));
    strcpy(none + 512 * GIB, "used");
    MUST(mprotect(none + 513 * GIB, PAGE, PROT_READ | PROT_WRITE));
    strcpy(none + 513 * GIB, "hidden");
    MUST(mprotect(none + 513 * GIB, PAGE, PROT_NONE));
    CHECK_EQUAL(nothing[128 * GIB], 0);

    ready();

    CHECK_TEXT(none + 512 * GIB, "used");
    MUST(mprotect(none + 513 * GIB, PAGE, PROT_READ));
    CHECK_TEXT(none + 513 * GIB, "hidden");
    CHECK_EQUAL(nothing[200 * GIB], 0);
    CHECK(!memcmp(file + 100 * GIB, "file", 4), "the file is not mapped");
    MUST(mprotect(none + 600 * GIB, PAGE, PROT_READ | PROT_WRITE));
    none[600 * GIB] = 1;
    pass();
}
