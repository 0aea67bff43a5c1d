// Checks the command line as others see it: arguments, and an argument area that was overwritten as daemons do.
#include "journey.h"

int main(int argc, char **argv)
{
    char text[4096], before[4096];
    if (argc == 1)
        execl("/proc/self/exe", "command_line", "first", "", "third with space", "a place to write a long title", (char *)NULL);
    CHECK_EQUAL(argc, 5);
    strcpy(argv[4], "title: waiting");
    ssize_t length = slurp("/proc/self/cmdline", before, sizeof before);

    ready();

    CHECK_TEXT(argv[0], "command_line");
    CHECK_TEXT(argv[1], "first");
    CHECK_TEXT(argv[2], "");
    CHECK_TEXT(argv[3], "third with space");
    CHECK_EQUAL(slurp("/proc/self/cmdline", text, sizeof text), length);
    CHECK(!memcmp(text, before, length), "the command line differs: %s", text);
    strcpy(argv[4], "title: done");
    slurp("/proc/self/cmdline", text, sizeof text);
    CHECK_TEXT(text + (argv[4] - argv[0]), "title: done");
    pass();
}
