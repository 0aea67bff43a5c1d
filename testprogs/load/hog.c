// Much memory: `hog MIB random|zero`, private and anonymous, every page touched.
#include "load.h"

int main(int argc, char **argv)
{
    size_t length = (size_t)count_of(argc, argv, "MIB random|zero") << 20;
    int is_random = argc > 2 && !strcmp(argv[2], "random");
    uint64_t *memory = MUST(mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    uint64_t state = 0x9e3779b97f4a7c15;
    if (!is_random)
        memset(memory, 0, length);
    for (size_t i = 0; is_random && i < length / sizeof *memory; i++) {
        // xorshift: fast, and nothing compresses it.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        memory[i] = state;
    }
    ready();
}
