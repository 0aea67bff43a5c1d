// Checks the advice that stays with an area and shows in smaps: each flag that this kernel takes.
#include "journey.h"

static const struct {
    int advice;
    const char *flag, *name;
} advices[] = {
    { MADV_SEQUENTIAL, "sr", "MADV_SEQUENTIAL" }, { MADV_RANDOM, "rr", "MADV_RANDOM" },
    { MADV_DONTFORK, "dc", "MADV_DONTFORK" },     { MADV_DONTDUMP, "dd", "MADV_DONTDUMP" },
    { MADV_WIPEONFORK, "wf", "MADV_WIPEONFORK" }, { MADV_HUGEPAGE, "hg", "MADV_HUGEPAGE" },
    { MADV_NOHUGEPAGE, "nh", "MADV_NOHUGEPAGE" }, { MADV_MERGEABLE, "mg", "MADV_MERGEABLE" },
};
enum { N = sizeof advices / sizeof *advices };

int main(void)
{
    char *area[N], before[N][256], now[256];
    for (int i = 0; i < N; i++) {
        area[i] = MUST(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        fill(area[i], 2 * PAGE, i);
        // A kernel built without a feature refuses its advice; then there is nothing to keep.
        if (madvise(area[i], 4 * PAGE, advices[i].advice) == 0)
            CHECK(has_vm_flag(area[i], advices[i].flag), "%s shows no %s", advices[i].name, advices[i].flag);
        CHECK(smaps_line(area[i], "VmFlags:", before[i], sizeof before[i]), "no area");
    }

    ready();

    for (int i = 0; i < N; i++) {
        CHECK(smaps_line(area[i], "VmFlags:", now, sizeof now), "area %d is gone", i);
        CHECK(!strcmp(now, before[i]), "%s: flags are %s, were %s", advices[i].name, now, before[i]);
        CHECK_FILLED(area[i], 2 * PAGE, i);
    }
    pid_t pid = MUST(fork());
    if (pid == 0) {
        CHECK_EQUAL(area[4][0], 0);
        CHECK(!smaps_line(area[2], "", now, sizeof now), "a child inherits MADV_DONTFORK memory");
        _exit(0);
    }
    int status;
    MUST(waitpid(pid, &status, 0));
    CHECK_EQUAL(status, 0);
    pass();
}
