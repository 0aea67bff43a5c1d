// Checks the kernel's notes about a process's memory layout: code, data, stack, break, arguments and environment.
#include "journey.h"

static const struct {
    int number;
    const char *name;
} fields[] = {
    { 26, "start_code" }, { 27, "end_code" },  { 28, "start_stack" }, { 45, "start_data" },
    { 46, "end_data" },   { 47, "start_brk" }, { 48, "arg_start" },   { 49, "arg_end" },
    { 50, "env_start" },  { 51, "env_end" },
};
enum { N = sizeof fields / sizeof *fields };

int main(void)
{
    unsigned long long before[N];
    for (int i = 0; i < N; i++)
        before[i] = stat_field(getpid(), fields[i].number);
    CHECK(before[0], "the kernel shows no addresses");

    ready();

    for (int i = 0; i < N; i++) {
        unsigned long long now = stat_field(getpid(), fields[i].number);
        CHECK(now == before[i], "%s is %#llx, was %#llx", fields[i].name, now, before[i]);
    }
    char head[256];
    void *heap = sbrk(PAGE);
    *(char *)heap = 1;
    CHECK(smaps_line(heap, "", head, sizeof head) && strstr(head, "[heap]"), "the heap is %s", head);
    pass();
}
