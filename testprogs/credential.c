// Checks user and group ids: real, effective, saved and file system ids that all differ, and supplementary groups.
// needs: root
#include "journey.h"
#include <grp.h>
#include <sys/fsuid.h>

int main(void)
{
    gid_t groups[20], now[64];
    struct gate gate = gate_new();
    if (geteuid())
        skip("not root");
    for (int i = 0; i < 20; i++)
        groups[i] = 5000 + i * i;
    if (setgroups(20, groups))
        skip("no permission to set groups");
    MUST(chmod(".", 0777));
    pid_t pid = MUST(fork());
    if (pid == 0) {
        MUST(setgroups(3, groups));
        MUST(setresgid(101, 102, 103));
        setfsgid(101);
        MUST(setresuid(201, 202, 203));
        setfsuid(201);
        gate_arrive(&gate);
        while (access("go", F_OK))
            doze(10);
        CHECK_TEXT(field("/proc/self/status", "Uid:"), "201\t202\t203\t201");
        CHECK_TEXT(field("/proc/self/status", "Gid:"), "101\t102\t103\t101");
        CHECK_EQUAL(getgroups(64, now), 3);
        CHECK_EQUAL(strtoull(field("/proc/self/status", "CapEff:"), NULL, 16), 0);
        CHECK_EQUAL(strtoull(field("/proc/self/status", "CapPrm:"), NULL, 16), 0);
        CHECK(setresuid(0, 0, 0) == -1, "the child has got its power back");
        _exit(0);
    }
    gate_collect(&gate, 1);

    ready();

    CHECK_EQUAL(getgroups(64, now), 20);
    for (int i = 0; i < 20; i++)
        CHECK_EQUAL(now[i], groups[i]);
    CHECK_EQUAL(getuid(), 0);
    REAP(pid);
    pass();
}
