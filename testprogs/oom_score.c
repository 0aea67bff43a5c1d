// Checks the OOM score adjustment of two processes.
#include "journey.h"

static void set(const char *text)
{
    int fd = MUST(open("/proc/self/oom_score_adj", O_WRONLY));
    CHECK(write(fd, text, strlen(text)) > 0, "oom_score_adj: %s", strerror(errno));
    close(fd);
}

static int get(void)
{
    char text[32];
    CHECK(slurp("/proc/self/oom_score_adj", text, sizeof text) > 0, "cannot read oom_score_adj");
    return atoi(text);
}

int main(void)
{
    struct gate gate = gate_new();
    set("300");
    pid_t pid = MUST(fork());
    if (pid == 0) {
        set("777");
        gate_arrive(&gate);
        wait_for_go();
        CHECK_EQUAL(get(), 777);
        _exit(0);
    }
    gate_collect(&gate, 1);

    ready();

    CHECK_EQUAL(get(), 300);
    REAP(pid);
    pass();
}
