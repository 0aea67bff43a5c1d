// Checks memory that the kernel may drop (MAP_DROPPABLE, Linux 6.11): it comes back empty, as if it had been dropped,
// so that two restarts do not share its secrets.
#include "journey.h"

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08
#endif

int main(void)
{
    char *area = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_DROPPABLE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED)
        skip("no MAP_DROPPABLE: %s", strerror(errno));
    fill(area, 4 * PAGE, 3);

    ready();

    int was_restarted = strcmp(journey_word, "stay") && strcmp(journey_word, "continue");
    for (size_t i = 0; was_restarted && i < 4 * PAGE; i++)
        CHECK(area[i] == 0, "byte %zu came back", i);
    fill(area, 4 * PAGE, 4);
    CHECK_FILLED(area, 4 * PAGE, 4);
    pass();
}
