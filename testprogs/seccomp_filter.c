// Checks seccomp filters: one in main, a second stacked on it in a child.
// needs: seccomp
#include "seccomp.h"

int main(void)
{
    int already = atoi(field("/proc/self/status", "Seccomp_filters:"));
    struct gate gate = gate_new();
    if (install_filter(SYS_getpriority, 71, 0))
        skip("no seccomp filters: %s", strerror(errno));
    pid_t pid = MUST(fork());
    if (pid == 0) {
        MUST(install_filter(SYS_sync, 72, 0));
        gate_arrive(&gate);
        wait_for_go();
        CHECK_EQUAL(atoi(field("/proc/self/status", "Seccomp_filters:")), already + 2);
        CHECK(syscall(SYS_getpriority, 0, 0) == -1 && errno == 71, "the first filter is lost in the child");
        CHECK(syscall(SYS_sync) == -1 && errno == 72, "the second filter is lost");
        _exit(0);
    }
    gate_collect(&gate, 1);

    ready();

    CHECK_EQUAL(atoi(field("/proc/self/status", "Seccomp:")), 2);
    CHECK_EQUAL(atoi(field("/proc/self/status", "Seccomp_filters:")), already + 1);
    CHECK(syscall(SYS_getpriority, 0, 0) == -1 && errno == 71, "the filter is lost");
    REAP(pid);
    pass();
}
