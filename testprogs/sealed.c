// Checks sealed areas (mseal): still sealed, readable and with their contents.
// needs: mseal
#include "journey.h"
#ifndef SYS_mseal
#define SYS_mseal 462
#endif

int main(void)
{
    char *writable = MUST(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    char *constant = MUST(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    fill(writable, 4 * PAGE, 28);
    fill(constant, 4 * PAGE, 29);
    MUST(mprotect(constant, 4 * PAGE, PROT_READ));
    if (syscall(SYS_mseal, writable, 4 * PAGE, 0) || syscall(SYS_mseal, constant + PAGE, PAGE, 0))
        skip("no mseal: %s", strerror(errno));

    ready();

    CHECK_FILLED(writable, 4 * PAGE, 28);
    CHECK_FILLED(constant, 4 * PAGE, 29);
    writable[0] ^= 1;
    CHECK(mprotect(writable, PAGE, PROT_READ) == -1 && errno == EPERM, "the seal on the writable area is lost");
    CHECK(munmap(constant + PAGE, PAGE) == -1 && errno == EPERM, "the seal on the constant area is lost");
    MUST(munmap(constant, PAGE));
    MUST(munmap(constant + 2 * PAGE, 2 * PAGE));
    pass();
}
