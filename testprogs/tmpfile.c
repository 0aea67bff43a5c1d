// Checks an O_TMPFILE file, which never had a name, and that it can still be given one.
// needs: o_tmpfile
#include "journey.h"

int main(void)
{
    static char data[100000], back[100001];
    int fd = open(".", O_TMPFILE | O_RDWR, 0600);
    if (fd < 0)
        skip("the file system has no O_TMPFILE: %s", strerror(errno));
    fill(data, sizeof data, 6);
    CHECK_EQUAL(write(fd, data, sizeof data), sizeof data);
    MUST(lseek(fd, 77, SEEK_SET));

    ready();

    struct stat st;
    MUST(fstat(fd, &st));
    CHECK_EQUAL(st.st_nlink, 0);
    CHECK_EQUAL(st.st_size, sizeof data);
    CHECK_EQUAL(lseek(fd, 0, SEEK_CUR), 77);
    CHECK_EQUAL(pread(fd, back, sizeof back, 0), sizeof data);
    CHECK(!memcmp(data, back, sizeof data), "the contents differ");
    CHECK_EQUAL(write(fd, "x", 1), 1);
    pass();
}
