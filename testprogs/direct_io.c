// Checks O_DIRECT on a regular file: the flag, and aligned reading and writing at the kept offset.
// needs: o_direct
#include "journey.h"

int main(void)
{
    char *block = aligned_alloc(4096, 8192);
    int fd = open("direct", O_RDWR | O_CREAT | O_DIRECT, 0600);
    if (fd < 0)
        skip("the file system has no O_DIRECT: %s", strerror(errno));
    fill(block, 8192, 5);
    CHECK_EQUAL(write(fd, block, 8192), 8192);
    MUST(lseek(fd, 4096, SEEK_SET));

    ready();

    CHECK(fcntl(fd, F_GETFL) & O_DIRECT, "O_DIRECT is lost");
    memset(block, 0, 8192);
    CHECK_EQUAL(read(fd, block + 4096, 4096), 4096);
    CHECK_EQUAL(pread(fd, block, 4096, 0), 4096);
    CHECK_FILLED(block, 8192, 5);
    CHECK_EQUAL(write(fd, block, 4096), 4096);
    CHECK_EQUAL(lseek(fd, 0, SEEK_CUR), 12288);
    pass();
}
