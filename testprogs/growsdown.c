// Checks an area that grows downwards by itself (MAP_GROWSDOWN): it still does.
#include "journey.h"

int main(void)
{
    // Room below, which is free when the area grows.
    char *room = MUST(mmap(NULL, 4 * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    MUST(munmap(room, 4 * MIB));
    char *top = room + 4 * MIB;
    char *area = MUST(mmap(top - 2 * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0));
    fill(area, 2 * PAGE, 27);
    // It has grown once already.
    for (int i = 1; i < 10; i++)
        area[-i * (long)PAGE] = (char)i;

    ready();

    CHECK_FILLED(area, 2 * PAGE, 27);
    for (int i = 1; i < 10; i++)
        CHECK_EQUAL(area[-i * (long)PAGE], i);
    CHECK(has_vm_flag(area, "gd"), "MAP_GROWSDOWN is lost");
    for (int i = 10; i < 100; i++)
        area[-i * (long)PAGE] = (char)i;
    for (int i = 1; i < 100; i++)
        CHECK_EQUAL(area[-i * (long)PAGE], i);
    pass();
}
