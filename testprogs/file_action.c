// Checks files that policies decide about: two that are written, one that is read, one that is mapped. What their contents are after
// a restart depends on the decision: the harness looks at that.
#include "journey.h"
#include <sys/stat.h>

static void put(int fd, const char *line)
{
    CHECK_EQUAL(write(fd, line, strlen(line)), (ssize_t)strlen(line));
}

int main(void)
{
    char text[8] = "";
    int log = MUST(open("log", O_CREAT | O_WRONLY | O_APPEND, 0644));
    int out = MUST(open("result", O_CREAT | O_RDWR, 0640));
    int map = MUST(open("map", O_CREAT | O_RDWR, 0600));
    int data = MUST(open("data", O_CREAT | O_RDWR, 0600));
    put(log, "before\n");
    put(out, "before\n");
    put(data, "one\ntwo\n");
    MUST(close(data));
    data = MUST(open("data", O_RDONLY));
    CHECK_EQUAL(read(data, text, 4), 4);
    MUST(ftruncate(map, PAGE));
    char *mapped = MUST(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0));
    MUST(close(map));
    strcpy(mapped, "mapped");

    ready();

    put(log, "after\n");
    put(out, "after\n");
    CHECK_EQUAL(read(data, text, 4) == 4 ? memcmp(text, "two\n", 4) : 1, 0);
    CHECK(strcmp(mapped, "mapped") == 0 || strcmp(mapped, "edited") == 0, "the mapping has %.8s", mapped);
    mapped[7] = '!';
    pass();
}
