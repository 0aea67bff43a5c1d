// Checks seccomp's strict mode: a child that may only read, write and exit, blocked in a read.
// needs: seccomp
#include "seccomp.h"

int main(void)
{
    int to_child[2], from_child[2], status;
    char byte;
    MUST(pipe(to_child));
    MUST(pipe(from_child));
    pid_t pid = MUST(fork());
    if (pid == 0) {
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT))
            _exit(9);
        if (write(from_child[1], "r", 1) != 1 || read(to_child[0], &byte, 1) != 1 || write(from_child[1], &byte, 1) != 1)
            syscall(SYS_exit, 1);
        // Any other call is death.
        syscall(SYS_getpid);
        syscall(SYS_exit, 2);
    }
    close(from_child[1]);
    if (read(from_child[0], &byte, 1) != 1)
        skip("no strict seccomp mode");
    wait_until_in_call(pid, SYS_read);

    ready();

    CHECK_EQUAL(write(to_child[1], "g", 1), 1);
    CHECK(read(from_child[0], &byte, 1) == 1 && byte == 'g', "the child does not answer");
    CHECK(waitpid(-1, &status, 0) > 0, "waitpid: %s", strerror(errno));
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the child ended with %#x: the mode is lost", status);
    pass();
}
