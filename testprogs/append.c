// Checks O_APPEND: two appenders of one file, and the standard output that this program shares with the harness.
#include "journey.h"

int main(void)
{
    char text[100] = "";
    int one = MUST(open("log", O_WRONLY | O_CREAT | O_APPEND, 0644));
    int two = MUST(open("log", O_RDWR | O_APPEND));
    CHECK_EQUAL(write(one, "one ", 4), 4);
    CHECK_EQUAL(write(two, "two ", 4), 4);

    ready();

    CHECK(fcntl(one, F_GETFL) & O_APPEND, "O_APPEND is lost");
    CHECK_EQUAL(lseek(one, 0, SEEK_CUR), 4);
    CHECK_EQUAL(write(one, "three ", 6), 6);
    CHECK_EQUAL(write(two, "four", 4), 4);
    CHECK_EQUAL(pread(two, text, sizeof text, 0), 18);
    CHECK_TEXT(text, "one two three four");
    pass();
}
