// Checks the registration for private expedited memory barriers, without which membarrier refuses them.
#include "journey.h"
#include <linux/membarrier.h>

static int barrier(int command)
{
    return (int)syscall(SYS_membarrier, command, 0, 0);
}

int main(void)
{
    if (barrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED))
        skip("no private expedited barriers: %s", strerror(errno));

    ready();

    CHECK(barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0, "the registration is lost: %s", strerror(errno));
    pass();
}
