// Checks a pseudo-terminal with both ends in the job: modes, window size, and data on its way in both directions.
// needs: pty
#include "journey.h"
#include <sys/ioctl.h>
#include <termios.h>

int main(void)
{
    int master, slave;
    char text[100];
    struct termios modes, now;
    struct winsize size = { 33, 121, 0, 0 }, size_now;
    master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) || unlockpt(master))
        skip("no pseudo-terminals: %s", strerror(errno));
    slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    if (slave < 0)
        skip("no pseudo-terminals: %s", strerror(errno));
    MUST(tcgetattr(slave, &modes));
    modes.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
    modes.c_oflag &= ~(tcflag_t)OPOST;
    modes.c_cc[VMIN] = 3;
    modes.c_cc[VINTR] = 'x' - 'a' + 1;
    MUST(tcsetattr(slave, TCSANOW, &modes));
    MUST(ioctl(slave, TIOCSWINSZ, &size));
    MUST(tcgetattr(slave, &modes));
    CHECK_EQUAL(write(master, "to slave", 8), 8);
    CHECK_EQUAL(write(slave, "to master", 9), 9);

    ready();

    CHECK(isatty(slave), "the slave is no terminal");
    MUST(tcgetattr(slave, &now));
    CHECK_EQUAL(now.c_iflag, modes.c_iflag);
    CHECK_EQUAL(now.c_oflag, modes.c_oflag);
    CHECK_EQUAL(now.c_cflag, modes.c_cflag);
    CHECK_EQUAL(now.c_lflag, modes.c_lflag);
    CHECK(!memcmp(now.c_cc, modes.c_cc, sizeof now.c_cc), "the control characters differ");
    MUST(ioctl(master, TIOCGWINSZ, &size_now));
    CHECK(size_now.ws_row == 33 && size_now.ws_col == 121, "the window has %dx%d", size_now.ws_row, size_now.ws_col);
    CHECK_EQUAL(read(slave, text, sizeof text), 8);
    CHECK(!memcmp(text, "to slave", 8), "the slave reads %.8s", text);
    CHECK_EQUAL(read(master, text, sizeof text), 9);
    CHECK(!memcmp(text, "to master", 9), "the master reads %.9s", text);
    CHECK_EQUAL(write(master, "abc", 3), 3);
    CHECK_EQUAL(read(slave, text, sizeof text), 3);
    close(slave);
    CHECK(read(master, text, 1) == -1 && errno == EIO, "the pty does not hang up");
    pass();
}
