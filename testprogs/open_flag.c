// Checks the status flags of open files that show in F_GETFL, and F_SETFL changes: O_SYNC, O_DSYNC, O_NOATIME, O_LARGEFILE.
#include "journey.h"

int main(void)
{
    static const int flags[] = { O_SYNC, O_DSYNC, O_NOATIME, O_NONBLOCK, O_APPEND | O_SYNC | O_NOATIME };
    enum { N = sizeof flags / sizeof *flags };
    int fd[N], before[N], changed, i;
    for (i = 0; i < N; i++) {
        fd[i] = MUST(open("file", O_RDWR | O_CREAT | flags[i], 0600));
        before[i] = MUST(fcntl(fd[i], F_GETFL));
        CHECK((before[i] & flags[i]) == flags[i], "flags %#x became %#x", flags[i], before[i]);
    }
    changed = MUST(open("file", O_RDWR));
    MUST(fcntl(changed, F_SETFL, O_APPEND | O_NONBLOCK));

    ready();

    for (i = 0; i < N; i++)
        CHECK(fcntl(fd[i], F_GETFL) == before[i], "flags %#x became %#x", before[i], fcntl(fd[i], F_GETFL));
    CHECK((fcntl(changed, F_GETFL) & (O_APPEND | O_NONBLOCK)) == (O_APPEND | O_NONBLOCK), "changed flags are lost");
    pass();
}
