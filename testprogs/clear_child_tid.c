// Checks the word that the kernel clears when a thread ends (clear_child_tid), for a thread made without libc.
#include "journey.h"
#include <linux/futex.h>
#include <sched.h>

static volatile int word = -1, running;

static int body(void *arg)
{
    (void)arg;
    running = 1;
    while (access("go", F_OK))
        doze(10);
    syscall(SYS_exit, 0);
    return 0;
}

int main(void)
{
    char *stack = MUST(mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_CHILD_CLEARTID;
    MUST(clone(body, stack + 64 * PAGE, flags, NULL, NULL, NULL, &word));
    while (!running)
        doze(1);

    ready();

    int value;
    while ((value = word) != 0)
        syscall(SYS_futex, &word, FUTEX_WAIT, value, NULL, NULL, 0);
    CHECK_EQUAL(word, 0);
    pass();
}
