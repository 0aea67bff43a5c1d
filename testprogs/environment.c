// Checks the environment: as set at exec (also in /proc), variables added, changed and removed since.
#include "journey.h"

int main(int argc, char **argv)
{
    static char before[200000], now[200000];
    (void)argc;
    if (!getenv("SET_AT_EXEC")) {
        char *large = malloc(100001);
        memset(large, 'x', 100000);
        large[100000] = 0;
        MUST(setenv("SET_AT_EXEC", "value with = and space", 1));
        MUST(setenv("LARGE", large, 1));
        MUST(setenv("REMOVED", "yes", 1));
        execv("/proc/self/exe", argv);
        CHECK(0, "exec: %s", strerror(errno));
    }
    MUST(setenv("ADDED", "later", 1));
    MUST(setenv("CHANGED", "twice", 1));
    MUST(unsetenv("REMOVED"));
    ssize_t length = slurp("/proc/self/environ", before, sizeof before);

    ready();

    CHECK_EQUAL(slurp("/proc/self/environ", now, sizeof now), length);
    CHECK(!memcmp(before, now, length), "/proc/self/environ differs");
    CHECK_TEXT(getenv("SET_AT_EXEC"), "value with = and space");
    CHECK_EQUAL(strlen(getenv("LARGE")), 100000);
    CHECK_TEXT(getenv("ADDED"), "later");
    CHECK_TEXT(getenv("CHANGED"), "twice");
    CHECK(!getenv("REMOVED"), "a removed variable is back");
    pass();
}
