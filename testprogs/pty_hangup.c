// Checks a master whose slave a session outside of the job has (the child is left out by --process): after a restart its slave has been closed, and can be
// opened again. Without a decision about it the checkpoint is refused.
// needs: pty
#include "journey.h"
#include <poll.h>
#include <sys/ioctl.h>

int main(void)
{
    char byte;
    struct gate gate = gate_new();
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || unlockpt(master))
        skip("no pseudo-terminals: %s", strerror(errno));
    pid_t child = MUST(fork());
    if (child == 0) {
        MUST(setsid());
        int slave = MUST(open(ptsname(master), O_RDWR));
        close(master);
        MUST(ioctl(slave, TIOCSCTTY, 0));
        gate_arrive(&gate);
        wait_for_go();
        _exit(0);
    }
    gate_collect(&gate, 1);

    ready();

    if (!strcmp(journey(), "restart")) {
        struct pollfd poller = { master, POLLIN, 0 };
        CHECK(poll(&poller, 1, 0) == 1 && poller.revents & POLLHUP, "the slave has not been closed");
        CHECK(read(master, &byte, 1) == -1 && errno == EIO, "the master does not read the end");
        int slave = MUST(open(ptsname(master), O_RDWR | O_NOCTTY));
        CHECK_EQUAL(write(slave, "x", 1), 1);
        CHECK_EQUAL(read(master, &byte, 1), 1);
    } else
        REAP(child);
    pass();
}
