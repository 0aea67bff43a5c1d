// Checks deleted files: their contents of 3 MiB with a hole, offsets, two descriptors of the same deleted file.
#include "journey.h"

int main(void)
{
    size_t size = 3 * MIB;
    char *data = malloc(size), *back = malloc(size + 1);
    struct stat st;
    fill(data, size, 7);
    memset(data + MIB, 0, MIB);
    int fd = MUST(open("doomed", O_RDWR | O_CREAT, 0640));
    int second = MUST(open("doomed", O_RDONLY));
    int empty = MUST(open("empty", O_RDWR | O_CREAT, 0600));
    CHECK_EQUAL(pwrite(fd, data, MIB, 0), MIB);
    CHECK_EQUAL(pwrite(fd, data + 2 * MIB, MIB, 2 * MIB), MIB);
    MUST(lseek(fd, 4567, SEEK_SET));
    MUST(lseek(second, 89, SEEK_SET));
    MUST(unlink("doomed"));
    MUST(unlink("empty"));

    ready();

    CHECK_EQUAL(lseek(fd, 0, SEEK_CUR), 4567);
    CHECK_EQUAL(lseek(second, 0, SEEK_CUR), 89);
    MUST(fstat(fd, &st));
    CHECK_EQUAL(st.st_size, size);
    CHECK_EQUAL(st.st_nlink, 0);
    CHECK_EQUAL(st.st_mode & 07777, 0640);
    CHECK_EQUAL(pread(fd, back, size + 1, 0), size);
    CHECK(!memcmp(data, back, size), "the contents differ");
    CHECK_EQUAL(pwrite(fd, "changed", 7, 10), 7);
    CHECK_EQUAL(pread(second, back, 7, 10), 7);
    CHECK(!memcmp(back, "changed", 7), "the two descriptors have different files");
    MUST(fstat(empty, &st));
    CHECK_EQUAL(st.st_size, 0);
    CHECK(access("doomed", F_OK) == -1, "the file has a name again");
    pass();
}
