// Checks the controlling terminal: /dev/tty and a descriptor of the terminal itself. It skips without one.
// needs: tty
#include "journey.h"
#include <termios.h>

int main(void)
{
    struct termios modes;
    int tty = open("/dev/tty", O_RDWR);
    if (tty < 0)
        skip("no controlling terminal");
    int named = open(ttyname(tty) ? ttyname(tty) : "", O_RDWR | O_NOCTTY);

    ready();

    CHECK(isatty(tty), "/dev/tty is no terminal any more");
    MUST(tcgetattr(tty, &modes));
    CHECK_EQUAL(fcntl(tty, F_GETFL) & O_ACCMODE, O_RDWR);
    if (named >= 0)
        CHECK(isatty(named), "the terminal is none any more");
    pass();
}
