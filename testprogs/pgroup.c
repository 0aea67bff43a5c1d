// Checks process groups: main leads one, one child stays in it, two others share a group of their own.
// restart: --restore-pgid --restore-sid
#include "journey.h"

static struct gate gate;

static void child(void *arg)
{
    pid_t group = getpgrp();
    (void)arg;
    gate_arrive(&gate);
    wait_for_go();
    if (!pids_are_new())
        CHECK_EQUAL(getpgrp(), group);
}

int main(void)
{
    pid_t stays, leads, follows;
    MUST(setpgid(0, 0));
    gate = gate_new();
    stays = spawn(child, NULL);
    // The group must exist before another can join it.
    struct gate moved = gate_new();
    leads = MUST(fork());
    if (leads == 0) {
        MUST(setpgid(0, 0));
        gate_arrive(&moved);
        child(NULL);
        _exit(0);
    }
    gate_collect(&moved, 1);
    follows = MUST(fork());
    if (follows == 0) {
        MUST(setpgid(0, leads));
        child(NULL);
        _exit(0);
    }
    gate_collect(&gate, 3);

    ready();

    // Without the old pids there is no keeping of groups.
    if (!pids_are_new()) {
        CHECK_EQUAL(getpgrp(), getpid());
        CHECK_EQUAL(getpgid(stays), getpid());
        CHECK_EQUAL(getpgid(leads), leads);
        CHECK_EQUAL(getpgid(follows), leads);
    }
    REAP(stays);
    REAP(leads);
    REAP(follows);
    pass();
}
