// Checks the secure bits, with their locks.
// needs: root
#include "journey.h"
#include <linux/securebits.h>
#include <sys/prctl.h>

int main(void)
{
    int bits = SECBIT_KEEP_CAPS | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_NOROOT;
    if (prctl(PR_SET_SECUREBITS, bits))
        skip("secure bits cannot be set: %s", strerror(errno));

    ready();

    CHECK_EQUAL(prctl(PR_GET_SECUREBITS), bits);
    CHECK_EQUAL(prctl(PR_GET_KEEPCAPS), 1);
    CHECK(prctl(PR_SET_SECUREBITS, bits & ~SECBIT_NO_SETUID_FIXUP) == -1, "a lock is lost");
    pass();
}
