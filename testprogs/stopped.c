// Checks a stopped child: it is still stopped afterwards, does nothing meanwhile, and runs on after SIGCONT.
#include "journey.h"

int main(void)
{
    volatile int *step = MUST(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    int status;
    pid_t pid = MUST(fork());
    if (pid == 0) {
        signal_self(SIGSTOP);
        *step = 1;
        _exit(3);
    }
    CHECK_EQUAL(waitpid(pid, &status, WUNTRACED), pid);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP, "the child has the status %#x", status);

    ready();

    if (pids_are_new()) {
        char text[64];
        CHECK(slurp("/proc/thread-self/children", text, sizeof text) > 0, "the child is gone");
        pid = atoi(text);
    }
    doze(50);
    CHECK_EQUAL(stat_field(pid, 3), 'T');
    CHECK_EQUAL(*step, 0);
    MUST(kill(pid, SIGCONT));
    CHECK_EQUAL(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3, "the child has the status %#x", status);
    CHECK_EQUAL(*step, 1);
    pass();
}
