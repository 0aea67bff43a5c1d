// Checks the auxiliary vector: /proc/self/auxv, what getauxval says, and that the vdso is where it says.
#include "journey.h"
#include <sys/auxv.h>

int main(void)
{
    char before[4096], now[4096], random[16];
    ssize_t length = slurp("/proc/self/auxv", before, sizeof before);
    CHECK(length > 100, "the vector has %zd bytes", length);
    const char *vdso = (const char *)getauxval(AT_SYSINFO_EHDR);
    memcpy(random, (const char *)getauxval(AT_RANDOM), 16);

    ready();

    CHECK_EQUAL(slurp("/proc/self/auxv", now, sizeof now), length);
    CHECK(!memcmp(before, now, length), "the vector differs");
    CHECK(!memcmp(random, (const char *)getauxval(AT_RANDOM), 16), "the random bytes differ");
    CHECK((const char *)getauxval(AT_SYSINFO_EHDR) == vdso, "the vdso is elsewhere");
    CHECK(!vdso || !memcmp(vdso, "\177ELF", 4), "no vdso at %p", vdso);
    CHECK_EQUAL(getauxval(AT_PAGESZ), PAGE);
    pass();
}
