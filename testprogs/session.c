// Checks sessions: a child that leads a session of its own, and a grandchild in that session.
// restart: --restore-pgid --restore-sid
#include "journey.h"

static struct gate gate;

static void grandchild(void *arg)
{
    pid_t session = getsid(0);
    (void)arg;
    gate_arrive(&gate);
    wait_for_go();
    if (!pids_are_new())
        CHECK_EQUAL(getsid(0), session);
    if (!pids_are_new()) {
        CHECK_EQUAL(getsid(0), getppid());
        CHECK_EQUAL(getpgrp(), getppid());
    }
}

static void child(void *arg)
{
    (void)arg;
    MUST(setsid());
    pid_t below = spawn(grandchild, NULL);
    gate_arrive(&gate);
    wait_for_go();
    // Without the old pids there is no keeping of sessions.
    if (!pids_are_new()) {
        CHECK_EQUAL(getsid(0), getpid());
        CHECK_EQUAL(getpgrp(), getpid());
        // A leader may not make a session again: the kernel too still takes it for one.
        CHECK(setsid() == -1 && errno == EPERM, "a session leader could make another session");
    }
    REAP(below);
}

int main(void)
{
    gate = gate_new();
    pid_t pid = spawn(child, NULL);
    gate_collect(&gate, 2);

    ready();

    REAP(pid);
    pass();
}
