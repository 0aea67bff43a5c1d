// Checks the state of several pseudo-terminals: numbers and names, packet mode, locks, exclusive use, owner and mode of the slave, speeds, pixels; slaves
// that are open, were closed, were never opened or have been hung up; flags of every end, and which ends share a description.
// needs: pty
#include "journey.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>

struct pair {
    int master, slave, number;
    char name[40];
    struct stat stat;
};

static struct pair make(int opens)
{
    struct pair pair = { .master = posix_openpt(O_RDWR | O_NOCTTY), .slave = -1 };
    if (pair.master < 0 || unlockpt(pair.master))
        skip("no pseudo-terminals: %s", strerror(errno));
    MUST(ioctl(pair.master, TIOCGPTN, &pair.number));
    snprintf(pair.name, sizeof pair.name, "/dev/pts/%d", pair.number);
    if (opens) {
        pair.slave = open(pair.name, O_RDWR | O_NOCTTY | O_NONBLOCK);
        if (pair.slave < 0)
            skip("no pseudo-terminals: %s", strerror(errno));
        MUST(fchmod(pair.slave, 0606));
        MUST(fstat(pair.slave, &pair.stat));
    }
    return pair;
}

static int flag(int fd, unsigned long request)
{
    int value = -1;
    MUST(ioctl(fd, request, &value));
    return value;
}

static short events(int fd)
{
    struct pollfd poller = { fd, POLLIN | POLLOUT, 0 };
    poll(&poller, 1, 0);
    return poller.revents;
}

static void same_name(struct pair *pair)
{
    char link[64], name[64] = "";
    int number;
    MUST(ioctl(pair->master, TIOCGPTN, &number));
    CHECK_EQUAL(number, pair->number);
    if (pair->slave >= 0) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", pair->slave);
        MUST(readlink(link, name, sizeof name - 1));
        CHECK_TEXT(name, pair->name);
        CHECK_TEXT(ttyname(pair->slave), pair->name);
    }
}

int main(void)
{
    struct stat now;
    char text[100];
    struct pair open_one = make(1), packet = make(1), never = make(0), closed = make(1), locked = make(0), gone = make(1), exclusive = make(1);
    struct winsize size = { 1, 2, 333, 444 }, size_now;
    struct termios modes;

    MUST(fcntl(open_one.master, F_SETFL, O_NONBLOCK));
    MUST(tcgetattr(open_one.slave, &modes));
    cfsetspeed(&modes, B19200);
    MUST(tcsetattr(open_one.slave, TCSANOW, &modes));
    MUST(ioctl(open_one.master, TIOCSWINSZ, &size));
    int reader = MUST(open(open_one.name, O_RDONLY | O_NOCTTY));
    int twin = MUST(dup(open_one.slave)), own_flags = MUST(open(open_one.name, O_RDWR | O_NOCTTY));
    MUST(ioctl(packet.master, TIOCPKT, &(int){ 1 }));
    MUST(write(packet.slave, "data", 4));
    close(closed.slave);
    MUST(ioctl(locked.master, TIOCSPTLCK, &(int){ 1 }));
    close(gone.master);
    MUST(ioctl(exclusive.slave, TIOCEXCL));
    MUST(fcntl(never.master, F_SETFL, O_NONBLOCK));
    CHECK(!(events(never.master) & POLLHUP) && events(closed.master) & POLLHUP, "the kernel is another");

    ready();

    same_name(&open_one), same_name(&packet), same_name(&never), same_name(&exclusive), same_name(&locked);
    // What was open.
    CHECK(fcntl(open_one.master, F_GETFL) & O_NONBLOCK, "the master waits");
    CHECK(fcntl(open_one.slave, F_GETFL) & O_NONBLOCK, "the slave waits");
    CHECK(!(fcntl(own_flags, F_GETFL) & O_NONBLOCK), "another description of the slave does not wait");
    CHECK_EQUAL(fcntl(reader, F_GETFL) & O_ACCMODE, O_RDONLY);
    MUST(fcntl(twin, F_SETFL, 0));
    CHECK(!(fcntl(open_one.slave, F_GETFL) & O_NONBLOCK), "a duplicate has flags of its own");
    MUST(fstat(open_one.slave, &now));
    CHECK(now.st_uid == open_one.stat.st_uid && now.st_gid == open_one.stat.st_gid, "the slave belongs to %d:%d", now.st_uid, now.st_gid);
    CHECK_EQUAL(now.st_mode, open_one.stat.st_mode);
    CHECK_EQUAL(now.st_rdev, open_one.stat.st_rdev);
    MUST(tcgetattr(open_one.slave, &modes));
    CHECK(cfgetospeed(&modes) == B19200, "the speed is another");
    MUST(ioctl(open_one.slave, TIOCGWINSZ, &size_now));
    CHECK(!memcmp(&size, &size_now, sizeof size), "the window is another");
    CHECK(read(open_one.master, text, 1) == -1 && errno == EAGAIN, "something waits in the master");
    // Packet mode: data comes after a byte that says so.
    CHECK_EQUAL(flag(packet.master, TIOCGPKT), 1);
    CHECK_EQUAL(read(packet.master, text, sizeof text), 5);
    CHECK(!memcmp(text, "\0data", 5), "the packet is another");
    CHECK_EQUAL(flag(open_one.master, TIOCGPKT), 0);
    // Never opened: no end until it is opened and closed.
    CHECK(!(events(never.master) & POLLHUP), "a slave that was never opened has ended");
    CHECK(read(never.master, text, 1) == -1 && errno == EAGAIN, "its master does not wait");
    never.slave = MUST(open(never.name, O_RDWR | O_NOCTTY));
    CHECK_EQUAL(write(never.slave, "x", 1), 1);
    CHECK_EQUAL(read(never.master, text, sizeof text), 1);
    close(never.slave);
    CHECK(read(never.master, text, 1) == -1 && errno == EIO, "its end is not told");
    // Closed.
    CHECK(events(closed.master) & POLLHUP, "a closed slave is open");
    CHECK(read(closed.master, text, 1) == -1 && errno == EIO, "a closed slave is read");
    // Locked.
    CHECK_EQUAL(flag(locked.master, TIOCGPTLCK), 1);
    CHECK(open(locked.name, O_RDWR | O_NOCTTY) == -1 && errno == EIO, "a locked slave was opened");
    MUST(unlockpt(locked.master));
    MUST(open(locked.name, O_RDWR | O_NOCTTY));
    CHECK_EQUAL(flag(never.master, TIOCGPTLCK), 0);
    // Hung up.
    CHECK_EQUAL(read(gone.slave, text, sizeof text), 0);
    CHECK(write(gone.slave, "x", 1) == -1 && errno == EIO, "a slave without master was written");
    CHECK(tcgetattr(gone.slave, &modes) == -1 && errno == EIO, "a slave without master has modes");
    CHECK(events(gone.slave) & POLLHUP, "a slave without master is not hung up");
    // Exclusive.
    CHECK_EQUAL(flag(exclusive.slave, TIOCGEXCL), 1);
    CHECK_EQUAL(flag(open_one.slave, TIOCGEXCL), 0);
    pass();
}
