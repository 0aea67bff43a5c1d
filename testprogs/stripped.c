// Checks a program without symbols that is not position-independent: nothing may depend on either.
// build: -s -no-pie
#include "journey.h"

static char data[3 * 4096] = { 1 };

int main(void)
{
    fill(data, sizeof data, 2);

    ready();

    CHECK_FILLED(data, sizeof data, 2);
    pass();
}
