// Checks working directories: main is where it was started, a child in a subdirectory.
#include "journey.h"

int main(void)
{
    char text[4096];
    struct gate gate = gate_new();
    MUST(mkdir("sub", 0755));
    MUST(mkdir("sub/sub", 0755));
    pid_t deep = MUST(fork());
    if (deep == 0) {
        MUST(chdir("sub/sub"));
        gate_arrive(&gate);
        while (access("../../go", F_OK))
            doze(10);
        CHECK(getcwd(text, sizeof text), "getcwd: %s", strerror(errno));
        CHECK(strlen(text) > 8 && !strcmp(text + strlen(text) - 8, "/sub/sub"), "the directory is %s", text);
        MUST(close(MUST(open("made-here", O_WRONLY | O_CREAT, 0600))));
        _exit(0);
    }
    gate_collect(&gate, 1);

    ready();

    CHECK(getcwd(text, sizeof text), "getcwd: %s", strerror(errno));
    REAP(deep);
    MUST(access("sub/sub/made-here", F_OK));
    pass();
}
