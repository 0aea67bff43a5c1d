// Checks a file that was opened by a name that is gone, while another hard link of it remains.
#include "journey.h"

int main(void)
{
    char text[100] = "";
    struct stat st;
    int fd = MUST(open("first", O_RDWR | O_CREAT, 0600));
    CHECK_EQUAL(write(fd, "contents", 8), 8);
    MUST(link("first", "second"));
    MUST(unlink("first"));

    ready();

    CHECK_EQUAL(pread(fd, text, sizeof text, 0), 8);
    CHECK_TEXT(text, "contents");
    MUST(fstat(fd, &st));
    CHECK(st.st_nlink <= 1, "the file has %d links", (int)st.st_nlink);
    CHECK_EQUAL(write(fd, "!", 1), 1);
    CHECK(slurp("second", text, sizeof text) >= 8 && !memcmp(text, "contents", 8), "the other name holds %s", text);
    pass();
}
