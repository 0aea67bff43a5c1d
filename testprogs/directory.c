// Checks open directories: reading goes on where it was, and neither loses nor repeats a name.
#include "journey.h"
#include <dirent.h>

enum { N = 300 };

int main(void)
{
    char name[32];
    int seen[N] = { 0 }, n = 0;
    struct dirent *entry;
    MUST(mkdir("dir", 0755));
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "dir/%d", i);
        MUST(close(MUST(open(name, O_WRONLY | O_CREAT, 0600))));
    }
    DIR *dir = opendir("dir");
    CHECK(dir, "opendir: %s", strerror(errno));
    // libc reads ahead; a small buffer of our own shows the kernel's position.
    int raw = MUST(open("dir", O_RDONLY | O_DIRECTORY));
    char buffer[512];
    int raw_names = 0;
    long length = MUST(syscall(SYS_getdents64, raw, buffer, sizeof buffer));
    for (long at = 0; at < length; raw_names++)
        at += *(unsigned short *)(buffer + at + 16);
    while (n < 100 && (entry = readdir(dir)))
        if (entry->d_name[0] != '.') {
            seen[atoi(entry->d_name)]++;
            n++;
        }

    ready();

    while ((entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            seen[atoi(entry->d_name)]++;
    for (int i = 0; i < N; i++)
        CHECK(seen[i] == 1, "name %d was read %d times", i, seen[i]);
    while ((length = MUST(syscall(SYS_getdents64, raw, buffer, sizeof buffer))) > 0)
        for (long at = 0; at < length; raw_names++)
            at += *(unsigned short *)(buffer + at + 16);
    CHECK_EQUAL(raw_names, N + 2);
    rewinddir(dir);
    for (n = 0; readdir(dir); n++)
        ;
    CHECK_EQUAL(n, N + 2);
    MUST(faccessat(raw, "17", F_OK, 0));
    pass();
}
