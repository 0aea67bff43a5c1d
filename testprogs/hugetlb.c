// Checks mappings of huge pages from the pool, private and shared.
// needs: hugepages
#include "journey.h"

int main(void)
{
    size_t huge = 2 * MIB;
    long had = atol(field("/proc/meminfo", "HugePages_Total:"));
    if (had < 8) {
        int fd = open("/proc/sys/vm/nr_hugepages", O_WRONLY);
        if (fd < 0 || write(fd, "16", 2) != 2)
            skip("no pool of huge pages");
        close(fd);
    }
    int flags = MAP_ANONYMOUS | MAP_HUGETLB;
    char *private = mmap(NULL, 3 * huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | flags, -1, 0);
    char *shared = mmap(NULL, 2 * huge, PROT_READ | PROT_WRITE, MAP_SHARED | flags, -1, 0);
    if (private == MAP_FAILED || shared == MAP_FAILED)
        skip("no huge pages: %s", strerror(errno));
    fill(private, huge, 19);
    fill(private + 2 * huge, huge, 20);
    fill(shared, huge, 21);
    pid_t pid = MUST(fork());
    if (pid == 0) {
        wait_for_go();
        CHECK_FILLED(private, huge, 19);
        shared[huge + 5] = 5;
        _exit(0);
    }

    ready();

    REAP(pid);
    CHECK_FILLED(private, huge, 19);
    CHECK_FILLED(private + 2 * huge, huge, 20);
    CHECK_FILLED(shared, huge, 21);
    CHECK_EQUAL(shared[huge + 5], 5);
    CHECK(has_vm_flag(private, "ht") && has_vm_flag(shared, "ht"), "the pages are no longer huge");
    pass();
}
