// Checks leases: still held, and broken by another opener with a signal to the holder.
#include "journey.h"

static volatile sig_atomic_t broken;

static void note(int signal)
{
    (void)signal;
    broken++;
}

int main(void)
{
    signal(SIGIO, note);
    int fd = MUST(open("file", O_RDONLY | O_CREAT, 0600));
    int write_leased = MUST(open("other", O_RDWR | O_CREAT, 0600));
    if (fcntl(fd, F_SETLEASE, F_RDLCK) || fcntl(write_leased, F_SETLEASE, F_WRLCK))
        skip("the file system has no leases: %s", strerror(errno));

    ready();

    CHECK_EQUAL(fcntl(fd, F_GETLEASE), F_RDLCK);
    CHECK_EQUAL(fcntl(write_leased, F_GETLEASE), F_WRLCK);
    CHECK_EQUAL(broken, 0);
    CHECK(open("file", O_WRONLY | O_NONBLOCK) == -1 && errno == EWOULDBLOCK, "the lease hinders nobody");
    while (!broken)
        doze(1);
    MUST(fcntl(fd, F_SETLEASE, F_UNLCK));
    MUST(open("file", O_WRONLY | O_NONBLOCK));
    pass();
}
