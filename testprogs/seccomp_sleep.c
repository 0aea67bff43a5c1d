// Checks a sleep under a seccomp filter that kills for restart_syscall, with which the kernel would go on with the sleep.
// needs: seccomp
#include "seccomp.h"

static int install(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_restart_syscall, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof code / sizeof *code, code };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return -1;
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

static pid_t sleeper(long number)
{
    pid_t pid = MUST(fork());
    if (pid == 0) {
        if (install())
            _exit(77);
        struct timespec second = { 1, 0 };
        while (access("go", F_OK))
            CHECK_EQUAL(syscall(number, CLOCK_REALTIME, 0, &second, &second), 0);
        _exit(0);
    }
    return pid;
}

int main(void)
{
    int status;
    pid_t pid = sleeper(SYS_clock_nanosleep);
    while (!access("/proc/self/status", F_OK) && waitpid(pid, &status, WNOHANG) == 0) {
        char path[64], text[64];
        snprintf(path, sizeof path, "/proc/%d/syscall", pid);
        if (slurp(path, text, sizeof text) > 0 && strtol(text, NULL, 10) == SYS_clock_nanosleep)
            break;
        doze(1);
    }
    if (kill(pid, 0) || waitpid(pid, &status, WNOHANG) == pid)
        skip("no seccomp filters");

    ready();

    REAP(pid);
    pass();
}
