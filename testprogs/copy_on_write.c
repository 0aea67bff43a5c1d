// Checks memory that processes share after fork until they write: 32 MiB of it, of which each child changed a little.
#include "journey.h"

static const size_t size = 32 * MIB;
static char *area;
static struct gate gate;

static void change(uintptr_t who)
{
    for (uintptr_t page = who * 3; page < size / PAGE; page += 500)
        memset(area + page * PAGE, (int)who + 1, 100);
}

static void look(uintptr_t who)
{
    for (uintptr_t page = 0; page < size / PAGE; page++) {
        char *at = area + page * PAGE;
        int mine = who < 4 && page % 500 == who * 3;
        if (mine)
            for (int i = 0; i < 100; i++)
                CHECK(at[i] == (char)(who + 1), "process %d lost its change of page %d", (int)who, (int)page);
        // The rest of the page, and its address, make the seed.
        size_t from = mine ? 104 : 0;
        CHECK_FILLED(at + from, PAGE - from, page * PAGE + from);
    }
}

static void child(void *arg)
{
    change((uintptr_t)arg);
    gate_arrive(&gate);
    wait_for_go();
    look((uintptr_t)arg);
}

int main(void)
{
    pid_t pid[4];
    area = MUST(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    fill(area, size, 0);
    gate = gate_new();
    for (uintptr_t i = 0; i < 4; i++)
        pid[i] = spawn(child, (void *)i);
    gate_collect(&gate, 4);

    ready();

    look(100);
    for (int i = 0; i < 4; i++)
        REAP(pid[i]);
    look(100);
    pass();
}
