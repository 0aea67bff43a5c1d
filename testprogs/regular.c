// Checks regular files: offset, access mode, status flags, contents, and that writing goes on where it was.
#include "journey.h"

int main(void)
{
    char text[100];
    int rw = MUST(open("rw", O_RDWR | O_CREAT, 0640));
    int ro = MUST(open("rw", O_RDONLY));
    int wo = MUST(open("wo", O_WRONLY | O_CREAT | O_NONBLOCK, 0600));
    CHECK_EQUAL(write(rw, "0123456789", 10), 10);
    MUST(lseek(rw, 4, SEEK_SET));
    MUST(lseek(ro, 7, SEEK_SET));
    // Beyond the end, in a hole.
    MUST(lseek(wo, 5000000, SEEK_SET));

    ready();

    CHECK_EQUAL(lseek(rw, 0, SEEK_CUR), 4);
    CHECK_EQUAL(lseek(ro, 0, SEEK_CUR), 7);
    CHECK_EQUAL(lseek(wo, 0, SEEK_CUR), 5000000);
    CHECK_EQUAL(fcntl(rw, F_GETFL) & O_ACCMODE, O_RDWR);
    CHECK_EQUAL(fcntl(ro, F_GETFL) & O_ACCMODE, O_RDONLY);
    CHECK_EQUAL(fcntl(wo, F_GETFL) & O_ACCMODE, O_WRONLY);
    CHECK(fcntl(wo, F_GETFL) & O_NONBLOCK, "O_NONBLOCK is lost");
    CHECK_EQUAL(write(rw, "ab", 2), 2);
    CHECK_EQUAL(pread(ro, text, sizeof text, 0), 10);
    CHECK(!memcmp(text, "0123ab6789", 10), "the file holds %.10s", text);
    CHECK(write(ro, "x", 1) == -1 && errno == EBADF, "the read-only descriptor can write");
    CHECK_EQUAL(write(wo, "end", 3), 3);
    struct stat st;
    MUST(fstat(wo, &st));
    CHECK_EQUAL(st.st_size, 5000003);
    MUST(fstat(rw, &st));
    CHECK_EQUAL(st.st_mode & 07777, 0640);
    pass();
}
