// Checks a seccomp filter that allows only what the program itself needs and kills it for anything else.
// needs: seccomp
#include "seccomp.h"

// The waiting of the protocol, its verdict, and nothing else.
static const long ALLOWED[] = {
    SYS_read, SYS_write, SYS_openat, SYS_close, SYS_access, SYS_faccessat2, SYS_nanosleep, SYS_clock_nanosleep, SYS_restart_syscall, SYS_getpid,
    SYS_exit_group, SYS_wait4,
};
enum { N = sizeof ALLOWED / sizeof *ALLOWED };

static int install(void)
{
    struct sock_filter code[N + 3];
    int at = 0;
    code[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int i = 0; i < N; i++)
        code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)ALLOWED[i], N - i, 0);
    code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = { (unsigned short)at, code };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return -1;
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

int main(void)
{
    int status;
    char path[64];
    int already = atoi(field("/proc/self/status", "Seccomp_filters:"));
    pid_t pid = MUST(fork());
    if (pid == 0) {
        if (install())
            _exit(77);
        wait_for_go();
        CHECK(getpid() > 0, "getpid fails");
        // This must kill us.
        syscall(SYS_getpriority, 0, 0);
        _exit(1);
    }
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    while (atoi(field(path, "Seccomp_filters:")) == already) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            skip("no seccomp filters: the child ended with %#x", status);
        doze(1);
    }
    MUST(install());

    ready();

    MUST(wait4(-1, &status, 0, NULL));
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "the child ended with %#x instead of SIGSYS", status);
    pass();
}
