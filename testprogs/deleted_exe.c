// Checks a program whose executable file has been deleted, as by an upgrade: its code and data are still usable.
#include "journey.h"

static int initialised[5000] = { 3, 1, 4 };

// Far from the code that has run already, so that its page comes from the file.
__attribute__((noinline, aligned(4096))) static int far_function(int x)
{
    return x * 3 + 1;
}

static ssize_t slurp_exe(char *bytes)
{
    int fd = MUST(open("/proc/self/exe", O_RDONLY));
    ssize_t n = MUST(read(fd, bytes, 4 * MIB));
    close(fd);
    return n;
}

int main(int argc, char **argv)
{
    if (argc == 1) {
        static char bytes[4 * MIB];
        int in = MUST(open("/proc/self/exe", O_RDONLY)), out = MUST(open("copy", O_WRONLY | O_CREAT, 0755));
        ssize_t n = MUST(read(in, bytes, sizeof bytes));
        CHECK_EQUAL(write(out, bytes, n), n);
        close(in);
        close(out);
        execl("./copy", argv[0], "again", (char *)NULL);
        CHECK(0, "exec: %s", strerror(errno));
    }
    static char before[4 * MIB], now[4 * MIB];
    MUST(unlink("copy"));
    ssize_t n = slurp_exe(before);

    ready();

    CHECK_EQUAL(slurp_exe(now), n);
    CHECK(!memcmp(before, now, n), "/proc/self/exe has other contents");

    CHECK_EQUAL(far_function(argc), 7);
    CHECK_EQUAL(initialised[2], 4);
    CHECK_EQUAL(initialised[4999], 0);
    CHECK(access("copy", F_OK) == -1, "the file is back");
    pass();
}
