// Checks a deleted file whose name another file has taken: each descriptor keeps its own.
#include "journey.h"

int main(void)
{
    char text[100] = "";
    int old = MUST(open("name", O_RDWR | O_CREAT, 0600));
    CHECK_EQUAL(write(old, "old", 3), 3);
    int new = MUST(open("name.new", O_RDWR | O_CREAT, 0600));
    CHECK_EQUAL(write(new, "newer", 5), 5);
    MUST(rename("name.new", "name"));

    ready();

    CHECK_EQUAL(pread(old, text, sizeof text, 0), 3);
    CHECK_TEXT(text, "old");
    CHECK_EQUAL(pread(new, text, sizeof text, 0), 5);
    CHECK_TEXT(text, "newer");
    CHECK(slurp("name", text, sizeof text) == 5 && !strcmp(text, "newer"), "the name leads to %s", text);
    pass();
}
