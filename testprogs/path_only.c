// Checks O_PATH descriptors: of a file, a directory used with *at calls, and a symbolic link itself.
#include "journey.h"

int main(void)
{
    struct stat st;
    char text[100] = "";
    MUST(mkdir("dir", 0755));
    MUST(close(MUST(open("dir/file", O_WRONLY | O_CREAT, 0600))));
    MUST(symlink("dir/file", "link"));
    int file = MUST(open("dir/file", O_PATH));
    int dir = MUST(open("dir", O_PATH | O_DIRECTORY));
    int link = MUST(open("link", O_PATH | O_NOFOLLOW | O_CLOEXEC));

    ready();

    CHECK(fcntl(file, F_GETFL) & O_PATH, "O_PATH is lost");
    CHECK(read(file, text, 1) == -1 && errno == EBADF, "the descriptor can read");
    MUST(fstat(file, &st));
    CHECK(S_ISREG(st.st_mode), "file has mode %o", st.st_mode);
    MUST(fstatat(dir, "file", &st, 0));
    MUST(fstat(link, &st));
    CHECK(S_ISLNK(st.st_mode), "link has mode %o", st.st_mode);
    CHECK_EQUAL(readlinkat(link, "", text, sizeof text - 1), 8);
    CHECK_TEXT(text, "dir/file");
    CHECK_EQUAL(fcntl(link, F_GETFD), FD_CLOEXEC);
    pass();
}
