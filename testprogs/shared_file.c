// Checks shared file mappings: dirty pages are in the file and in both processes, and later changes are shared too.
#include "journey.h"

int main(void)
{
    size_t size = 100 * PAGE;
    int fd = MUST(open("file", O_RDWR | O_CREAT, 0600));
    MUST(ftruncate(fd, (off_t)size));
    char *area = MUST(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    const char *only = MUST(mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0));
    fill(area, size / 2, 13);
    volatile char *flag = area + size - 1;
    pid_t pid = MUST(fork());
    if (pid == 0) {
        while (*flag != 1)
            doze(5);
        CHECK_FILLED(area, size / 2, 13);
        CHECK_FILLED(only, size / 2, 13);
        area[size / 2 + 5] = 55;
        *flag = 2;
        _exit(0);
    }

    ready();

    CHECK_FILLED(area, size / 2, 13);
    *flag = 1;
    REAP(pid);
    CHECK_EQUAL(area[size / 2 + 5], 55);
    CHECK_EQUAL(only[size / 2 + 5], 55);
    char byte;
    CHECK_EQUAL(pread(fd, &byte, 1, (off_t)size / 2 + 5), 1);
    CHECK_EQUAL(byte, 55);
    CHECK_EQUAL(pwrite(fd, "z", 1, 200), 1);
    CHECK_EQUAL(area[200], 'z');
    CHECK(!has_vm_flag(only, "wr"), "the read-only area became writable");
    pass();
}
