// Checks a changed root directory: a child lives in one, with its working directory inside.
// needs: root
#include "journey.h"

int main(void)
{
    char text[4096];
    struct gate gate = gate_new();
    MUST(mkdir("root", 0755));
    MUST(mkdir("root/home", 0755));
    int top = MUST(open(".", O_RDONLY | O_DIRECTORY));
    pid_t pid = MUST(fork());
    if (pid == 0) {
        if (chroot("root"))
            _exit(0);
        MUST(chdir("/home"));
        gate_arrive(&gate);
        while (faccessat(top, "go", F_OK, 0))
            doze(10);
        CHECK(getcwd(text, sizeof text), "getcwd: %s", strerror(errno));
        CHECK_TEXT(text, "/home");
        MUST(chdir(".."));
        MUST(chdir(".."));
        CHECK(getcwd(text, sizeof text), "getcwd: %s", strerror(errno));
        CHECK_TEXT(text, "/");
        MUST(close(MUST(open("/made-here", O_WRONLY | O_CREAT, 0600))));
        _exit(0);
    }
    close(gate.fd[1]);
    if (read(gate.fd[0], text, 1) != 1)
        skip("no permission for chroot");
    close(gate.fd[0]);

    ready();

    REAP(pid);
    MUST(access("root/made-here", F_OK));
    pass();
}
