// Checks what waits in pseudo-terminals: complete lines, ends of file, quoted characters and the beginning of a line, which can still be edited; more than
// a buffer of raw input; output in packet mode, a full output queue, output that is stopped by ^S and by tcflow; what waits in a slave that
// nobody has opened, or that is closed.
// needs: pty
#include "journey.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>

static int master_of(int *slave, int raw)
{
    struct termios modes;
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || unlockpt(master))
        skip("no pseudo-terminals: %s", strerror(errno));
    MUST(fcntl(master, F_SETFL, O_NONBLOCK));
    if (!slave)
        return master;
    *slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_NONBLOCK);
    if (*slave < 0)
        skip("no pseudo-terminals: %s", strerror(errno));
    MUST(tcgetattr(*slave, &modes));
    if (raw)
        cfmakeraw(&modes);
    MUST(tcsetattr(*slave, TCSANOW, &modes));
    return master;
}

static void type(int master, const char *text, size_t length)
{
    CHECK_EQUAL(write(master, text, length), (ssize_t)length);
    doze(50);
}

// The next read must give this text; -1 means that one would have to wait.
static void expect(int fd, const char *text, ssize_t length, int line)
{
    char got[10000];
    ssize_t n = -1;
    for (int i = 0; i < 100 && n < 0 && length >= 0; i++, n < 0 ? doze(10) : (void)0)
        n = read(fd, got, sizeof got);
    if (length < 0)
        n = read(fd, got, sizeof got);
    if (n != length || (n > 0 && memcmp(got, text, n)))
        fail_at(__FILE__, line, "read %zd bytes \"%.*s\", expected %zd \"%s\"", n, (int)(n > 0 ? n : 0), got, length, text ? text : "");
}
#define EXPECT(fd, text) expect(fd, text, sizeof text - 1, __LINE__)
#define EXPECT_NOTHING(fd) expect(fd, NULL, -1, __LINE__)

static int can_write(int fd)
{
    struct pollfd poller = { fd, POLLOUT, 0 };
    poll(&poller, 1, 0);
    return (poller.revents & POLLOUT) != 0;
}

// Reads until nothing comes, and checks that it counts on.
static size_t counts_on(int fd, unsigned char next)
{
    unsigned char got[4096];
    size_t total = 0;
    for (int idle = 0; idle < 20;) {
        ssize_t n = read(fd, got, sizeof got);
        if (n <= 0) {
            idle++;
            doze(5);
            continue;
        }
        idle = 0;
        for (ssize_t i = 0; i < n; i++, next = next % 251 + 1)
            CHECK(got[i] == next, "byte %zu is %d, not %d", total + i, got[i], next);
        total += n;
    }
    return total;
}

static size_t fill_up(int fd)
{
    unsigned char bytes[251 * 4];
    size_t total = 0;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = i % 251 + 1;
    for (int idle = 0; idle < 20;) {
        size_t from = total % 251;
        ssize_t n = write(fd, bytes + from, 251 * 2);
        if (n <= 0) {
            idle++;
            doze(5);
        } else
            total += n;
    }
    return total;
}

int main(void)
{
    int lines_slave, raw_slave, out_slave, full_slave, typed_slave, called_slave, closed_slave;
    int lines = master_of(&lines_slave, 0), raw = master_of(&raw_slave, 1), out = master_of(&out_slave, 0);
    int full = master_of(&full_slave, 1), typed = master_of(&typed_slave, 0), called = master_of(&called_slave, 0);
    int closed = master_of(&closed_slave, 0), never = master_of(NULL, 0);
    char name[64];
    snprintf(name, sizeof name, "%s", ptsname(never));
    char closed_name[64];
    snprintf(closed_name, sizeof closed_name, "%s", ptsname(closed));

    type(lines, "one\ntw\x16\x03\x16\x04o\x04\x04\x16\x16z\nparX", 21);
    EXPECT(lines, "one\r\ntw^\b^C^\b^Do^\b^Vz\r\nparX");
    size_t in_raw = fill_up(raw);
    MUST(ioctl(out, TIOCPKT, &(int){ 1 }));
    MUST(write(out_slave, "line\nrest", 9));
    size_t in_full = fill_up(full_slave);
    type(typed, "\x13", 1);
    CHECK(!can_write(typed_slave), "^S does not stop the output");
    MUST(write(called_slave, "before", 6));
    doze(20);
    MUST(tcflow(called_slave, TCOOFF));
    type(closed, "left\n", 5);
    MUST(write(closed_slave, "said", 4));
    close(closed_slave);
    type(never, "early\nbeg", 9);

    ready();

    EXPECT(lines_slave, "one\n");
    EXPECT(lines_slave, "tw\x03\x04o");
    EXPECT(lines_slave, "");
    EXPECT(lines_slave, "\x16z\n");
    EXPECT_NOTHING(lines_slave);
    EXPECT_NOTHING(lines);
    type(lines, "\x7fty\n", 4);
    EXPECT(lines_slave, "party\n");
    EXPECT(lines, "\b \bty\r\n");

    CHECK_EQUAL(counts_on(raw_slave, 1), in_raw);
    EXPECT_NOTHING(raw);
    EXPECT(out, "\0line\r\nrest");
    EXPECT_NOTHING(out_slave);
    CHECK_EQUAL(counts_on(full, 1), in_full);
    EXPECT_NOTHING(full_slave);

    CHECK(!can_write(typed_slave), "output that ^S had stopped goes on");
    EXPECT_NOTHING(typed_slave);
    type(typed, "\x11", 1);
    CHECK(can_write(typed_slave), "^Q does not let the output go on");
    EXPECT_NOTHING(typed_slave);
    CHECK(!can_write(called_slave), "output that tcflow had stopped goes on");
    type(called, "\x11", 1);
    CHECK(!can_write(called_slave), "^Q lets output go on that tcflow had stopped");
    EXPECT(called, "before");
    MUST(tcflow(called_slave, TCOON));
    CHECK(can_write(called_slave), "tcflow does not let the output go on");

    EXPECT(closed, "left\r\nsaid");
    CHECK(read(closed, name + 60, 1) == -1 && errno == EIO, "a closed slave is open");
    closed_slave = MUST(open(closed_name, O_RDWR | O_NOCTTY | O_NONBLOCK));
    EXPECT(closed_slave, "left\n");

    EXPECT(never, "early\r\nbeg");
    EXPECT_NOTHING(never);
    int slave = MUST(open(name, O_RDWR | O_NOCTTY | O_NONBLOCK));
    EXPECT(slave, "early\n");
    type(never, "in\n", 3);
    EXPECT(slave, "begin\n");
    pass();
}
