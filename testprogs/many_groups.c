// Checks the most supplementary groups that a process can have.
// needs: root
#include "journey.h"
#include <grp.h>

enum { N = 65536 };

int main(void)
{
    static gid_t groups[N];
    if (geteuid())
        skip("not root");
    for (int i = 0; i < N; i++)
        groups[i] = 1000 + i;
    if (setgroups(N, groups))
        skip("no permission to set groups");

    ready();

    memset(groups, 0, sizeof groups);
    CHECK_EQUAL(getgroups(N, groups), N);
    for (int i = 0; i < N; i++)
        CHECK_EQUAL(groups[i], 1000 + i);
    pass();
}
