// Checks private mappings of shared anonymous memory, made through /proc/self/map_files: what was written through
// them is theirs, the rest is what the shared memory held.
#include "journey.h"

int main(void)
{
    char path[100];
    char *shared = MUST(mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    fill(shared, 6 * PAGE, 21);
    snprintf(path, sizeof path, "/proc/self/map_files/%lx-%lx", (unsigned long)shared, (unsigned long)shared + 8 * PAGE);
    int fd = open(path, O_RDWR);
    if (fd < 0)
        skip("map_files cannot be opened: %s", strerror(errno));
    char *copy = MUST(mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    char *view = MUST(mmap(NULL, 8 * PAGE, PROT_READ, MAP_PRIVATE, fd, 0));
    MUST(close(fd));
    fill(copy, PAGE, 22);

    ready();

    CHECK_FILLED(copy, PAGE, 22);
    for (size_t i = 1; i < 6; i++) {
        CHECK(!memcmp(copy + i * PAGE, shared + i * PAGE, PAGE), "page %zu of the written copy differs", i);
        CHECK(!memcmp(view + i * PAGE, shared + i * PAGE, PAGE), "page %zu of the copy differs", i);
    }
    CHECK_FILLED(view, 6 * PAGE, 21);
    CHECK_EQUAL(copy[7 * PAGE] | view[7 * PAGE], 0);
    copy[2 * PAGE] ^= 1;
    CHECK_FILLED(shared, 6 * PAGE, 21);
    pass();
}
