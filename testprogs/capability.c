// Checks the five capability sets: effective, permitted, inheritable, bounding and ambient.
// needs: root
#include "journey.h"
#include <linux/capability.h>
#include <sys/prctl.h>

static const char *const keys[] = { "CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:" };

int main(void)
{
    char before[5][32];
    struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct data[2];
    memset(data, 0, sizeof data);
    if (geteuid() || prctl(PR_CAPBSET_DROP, CAP_SYS_MODULE) || prctl(PR_CAPBSET_DROP, CAP_MKNOD))
        skip("no capabilities to drop");
    data[0].inheritable = 1 << CAP_KILL | 1 << CAP_CHOWN | 1 << CAP_NET_RAW;
    data[0].permitted = data[0].inheritable | 1 << CAP_DAC_OVERRIDE | 1 << CAP_FOWNER;
    data[0].effective = 1 << CAP_KILL | 1 << CAP_DAC_OVERRIDE;
    if (syscall(SYS_capset, &header, data))
        skip("these capabilities are not ours: %s", strerror(errno));
    MUST(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0));
    for (int i = 0; i < 5; i++)
        snprintf(before[i], sizeof before[i], "%s", field("/proc/self/status", keys[i]));

    ready();

    for (int i = 0; i < 5; i++)
        CHECK(!strcmp(field("/proc/self/status", keys[i]), before[i]), "%s is %s, was %s", keys[i],
              field("/proc/self/status", keys[i]), before[i]);
    MUST(syscall(SYS_capget, &header, data));
    CHECK_EQUAL(data[0].effective, 1 << CAP_KILL | 1 << CAP_DAC_OVERRIDE);
    CHECK_EQUAL(prctl(PR_CAPBSET_READ, CAP_MKNOD), 0);
    CHECK_EQUAL(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0), 1);
    pass();
}
