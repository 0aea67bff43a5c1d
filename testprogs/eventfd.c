// Checks eventfds: values, semaphore mode, flags, sharing with a child that is blocked in reading one.
#include "journey.h"
#include <sys/eventfd.h>

int main(void)
{
    eventfd_t value;
    int plain = MUST(eventfd(42, EFD_NONBLOCK));
    int semaphore = MUST(eventfd(3, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC));
    int zero = MUST(eventfd(0, 0));
    int full = MUST(eventfd(0, EFD_NONBLOCK));
    MUST(eventfd_write(plain, 1000000000000));
    MUST(eventfd_write(full, 0xfffffffffffffffe));
    pid_t pid = MUST(fork());
    if (pid == 0) {
        CHECK(eventfd_read(zero, &value) == 0, "read: %s", strerror(errno));
        CHECK_EQUAL(value, 7);
        _exit(0);
    }
    wait_until_in_call(pid, SYS_read);

    ready();

    MUST(eventfd_read(plain, &value));
    CHECK_EQUAL(value, 1000000000042);
    CHECK(eventfd_read(plain, &value) == -1 && errno == EAGAIN, "the eventfd is not empty");
    for (int i = 0; i < 3; i++) {
        MUST(eventfd_read(semaphore, &value));
        CHECK_EQUAL(value, 1);
    }
    CHECK(eventfd_read(semaphore, &value) == -1 && errno == EAGAIN, "the semaphore counts too far");
    CHECK_EQUAL(fcntl(semaphore, F_GETFD), FD_CLOEXEC);
    CHECK(eventfd_write(full, 1) == -1 && errno == EAGAIN, "the full one takes more");
    MUST(eventfd_write(zero, 7));
    REAP(pid);
    pass();
}
