// Checks sessions at pseudo-terminals of the job: a shell-like leader with a group in the foreground and one in the background, /dev/tty open and
// opened anew, ^C for the group in the foreground alone, job control by tcsetpgrp, a session whose leader has the terminal without any descriptor, and
// SIGHUP at the end of the master.
// needs: pty
#include "journey.h"
#include <sys/ioctl.h>
#include <termios.h>

static struct gate gate;
static volatile sig_atomic_t interrupted;
static volatile sig_atomic_t hung_up;

static void on_interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

static void on_hangup(int signal)
{
    (void)signal;
    hung_up = 1;
}

static void wait_for(volatile sig_atomic_t *flag)
{
    for (int i = 0; i < 500 && !*flag; i++)
        doze(10);
}

static void foreground(void *arg)
{
    (void)arg;
    signal(SIGINT, on_interrupt);
    int own = MUST(open("/dev/tty", O_RDWR | O_CLOEXEC));
    gate_arrive(&gate);
    wait_for_go();
    CHECK_EQUAL(tcgetpgrp(own), getpgrp());
    CHECK_EQUAL(getpgrp(), getpid());
    CHECK_EQUAL(getsid(0), getppid());
    char name[64] = "", path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", own);
    MUST(readlink(path, name, sizeof name - 1));
    CHECK_TEXT(name, "/dev/tty");
    MUST(write(own, "in front\n", 9));
    wait_for(&interrupted);
    CHECK(interrupted, "^C does not reach the foreground");
}

static void background(void *arg)
{
    (void)arg;
    signal(SIGINT, on_interrupt);
    gate_arrive(&gate);
    wait_for_go();
    int own = MUST(open("/dev/tty", O_RDWR | O_CLOEXEC));
    CHECK(tcgetpgrp(own) != getpgrp(), "the background is in front");
    CHECK_EQUAL(getpgrp(), getpid());
    doze(500);
    CHECK(!interrupted, "^C reaches the background");
}

static void leader(void *arg)
{
    int slave = *(int *)arg;
    MUST(setsid());
    MUST(ioctl(slave, TIOCSCTTY, 0));
    signal(SIGTTOU, SIG_IGN);
    signal(SIGHUP, on_hangup);
    int own = MUST(open("/dev/tty", O_RDWR | O_NONBLOCK));
    pid_t back = spawn(background, NULL);
    MUST(setpgid(back, back));
    pid_t front = spawn(foreground, NULL);
    MUST(setpgid(front, front));
    MUST(tcsetpgrp(slave, front));
    gate_arrive(&gate);
    wait_for_go();
    CHECK_EQUAL(getsid(0), getpid());
    CHECK_EQUAL(tcgetsid(slave), getpid());
    CHECK(fcntl(own, F_GETFL) & O_NONBLOCK, "/dev/tty waits");
    CHECK_EQUAL(tcgetsid(own), getpid());
    if (!pids_are_new())
        CHECK_EQUAL(tcgetpgrp(own), front);
    CHECK(setsid() == -1 && errno == EPERM, "a session leader could make another session");
    REAP(front);
    REAP(back);
    MUST(tcsetpgrp(slave, getpgrp()));
    CHECK_EQUAL(tcgetpgrp(slave), getpid());
    MUST(write(slave, "done\n", 5));
    wait_for(&hung_up);
    CHECK(hung_up, "no SIGHUP at the end of the master");
}

// The terminal is known by /dev/tty alone.
static void bare_leader(void *arg)
{
    int slave = *(int *)arg;
    MUST(setsid());
    MUST(ioctl(slave, TIOCSCTTY, 0));
    close(slave);
    gate_arrive(&gate);
    wait_for_go();
    int own = MUST(open("/dev/tty", O_RDWR));
    MUST(write(own, "bare\n", 5));
    CHECK_EQUAL(tcgetpgrp(own), getpid());
}

static int open_master(int *slave)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0 || unlockpt(master))
        skip("no pseudo-terminals: %s", strerror(errno));
    *slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    if (*slave < 0)
        skip("no pseudo-terminals: %s", strerror(errno));
    return master;
}

static void expect(int master, const char *text)
{
    char got[200] = "";
    size_t used = 0;
    while (used < strlen(text)) {
        ssize_t n = read(master, got + used, strlen(text) - used);
        CHECK(n > 0, "the master reads %s after \"%s\"", strerror(errno), got);
        used += n;
    }
    CHECK_TEXT(got, text);
}

static void child(void *arg)
{
    int *ends = arg;
    close(ends[0]);
    close(ends[2]);
    ends[4] ? bare_leader(&ends[3]) : leader(&ends[1]);
}

int main(void)
{
    int ends[5];
    gate = gate_new();
    ends[0] = open_master(&ends[1]);
    ends[2] = open_master(&ends[3]);
    ends[4] = 0;
    pid_t first = spawn(child, ends);
    ends[4] = 1;
    pid_t second = spawn(child, ends);
    gate_collect(&gate, 4);
    close(ends[1]);
    close(ends[3]);
    // The children of one have what the other needs no more.
    ready();

    if (!pids_are_new())
        CHECK_EQUAL(tcgetsid(ends[0]), first);
    expect(ends[0], "in front\r\n");
    MUST(write(ends[0], "\003", 1));
    expect(ends[0], "^Cdone\r\n");
    expect(ends[2], "bare\r\n");
    REAP(second);
    close(ends[0]);
    REAP(first);
    pass();
}
