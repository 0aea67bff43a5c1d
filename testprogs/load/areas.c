// Many memory areas: `areas N` maps N pages that cannot merge, each with a word in it.
#include "load.h"

int main(int argc, char **argv)
{
    long n = count_of(argc, argv, "N");
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *memory = MUST(mmap(NULL, n * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (long i = 0; i < n; i++) {
        *(long *)(memory + i * page) = i + 1;
        // Neighbours of equal protection would become one area.
        if (i % 2)
            MUST(mprotect(memory + i * page, page, PROT_READ));
    }
    ready();
}
