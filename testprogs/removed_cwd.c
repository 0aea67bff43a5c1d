// Checks a working directory that has been removed.
#include "journey.h"

int main(void)
{
    char text[4096];
    struct gate gate = gate_new();
    MUST(mkdir("gone", 0755));
    int top = MUST(open(".", O_RDONLY | O_DIRECTORY));
    pid_t pid = MUST(fork());
    if (pid == 0) {
        MUST(chdir("gone"));
        MUST(rmdir("../gone"));
        gate_arrive(&gate);
        while (faccessat(top, "go", F_OK, 0))
            doze(10);
        CHECK(!getcwd(text, sizeof text) && errno == ENOENT, "the directory has a name: %s", text);
        CHECK(open("file", O_WRONLY | O_CREAT, 0600) == -1 && errno == ENOENT, "a file could be made in it");
        _exit(0);
    }
    gate_collect(&gate, 1);

    ready();

    REAP(pid);
    pass();
}
