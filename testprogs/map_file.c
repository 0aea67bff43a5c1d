// Checks a descriptor of shared anonymous memory, opened through /proc/self/map_files: it must stay shared with the
// mapping, or be refused.
#include "journey.h"

int main(void)
{
    char path[100];
    char *shared = MUST(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    fill(shared, PAGE, 21);
    snprintf(path, sizeof path, "/proc/self/map_files/%lx-%lx", (unsigned long)shared, (unsigned long)shared + 2 * PAGE);
    int fd = open(path, O_RDWR);
    if (fd < 0)
        skip("map_files cannot be opened: %s", strerror(errno));

    ready();

    CHECK_EQUAL(pwrite(fd, "x", 1, PAGE), 1);
    CHECK_EQUAL(shared[PAGE], 'x');
    pass();
}
