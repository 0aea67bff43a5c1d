// Checks private file mappings: dirty pages, clean pages that still follow the file, offsets, parts beyond the end.
#include "journey.h"
#include <setjmp.h>

static sigjmp_buf back;

static void fault(int signal)
{
    siglongjmp(back, signal);
}

int main(void)
{
    enum { PAGES = 40 };
    static char data[PAGES * 4096 + 100];
    int fd = MUST(open("file", O_RDWR | O_CREAT, 0600));
    fill(data, sizeof data, 12);
    CHECK_EQUAL(write(fd, data, sizeof data), sizeof data);
    // Two pages more than the file has, begun at the third page.
    size_t length = (PAGES + 1) * PAGE;
    char *area = MUST(mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 2 * PAGE));
    char *code = MUST(mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, PAGE));
    close(fd);
    for (int i = 0; i < PAGES - 2; i += 3)
        area[i * PAGE + 7] ^= 1;
    // Written, and then made read-only.
    MUST(mprotect(area + 3 * PAGE, PAGE, PROT_READ));

    ready();

    for (int i = 0; i < PAGES - 2; i++) {
        const char *file = data + (i + 2) * PAGE;
        if (i % 3 == 0)
            CHECK(area[i * PAGE + 7] == (file[7] ^ 1), "dirty page %d is lost", i);
        CHECK(!memcmp(area + i * PAGE + 8, file + 8, PAGE - 8), "page %d differs", i);
    }
    CHECK(!memcmp(area + (PAGES - 2) * PAGE, data + PAGES * PAGE, 100), "the last part of a page differs");
    CHECK_EQUAL(area[(PAGES - 2) * PAGE + 100], 0);
    CHECK(!memcmp(code, data + PAGE, PAGE), "the second area differs");
    // The page after the file's end raises SIGBUS, and did not become memory.
    signal(SIGBUS, fault);
    if (sigsetjmp(back, 1) == 0) {
        area[(PAGES - 1) * PAGE] = 1;
        CHECK(0, "a page beyond the end of the file can be written");
    }
    char head[512];
    CHECK(smaps_line(area + PAGE, "", head, sizeof head), "the area is gone");
    CHECK(strstr(head, "/file"), "the area no longer maps the file: %s", head);
    // Nothing went to the file.
    fd = MUST(open("file", O_RDONLY));
    static char now[sizeof data];
    CHECK_EQUAL(read(fd, now, sizeof now), sizeof data);
    CHECK(!memcmp(now, data, sizeof data), "the file has changed");
    pass();
}
