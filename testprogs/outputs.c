// Checks a job of two processes and three threads that writes four files, each in another way, and that each has what was written, once.
#include "journey.h"
#include <pthread.h>

enum { BYTES = 5000 };
static int log_fd, append_fd, part_fd, map_fd;

static void *wait_here(void *arg)
{
    wait_for_go();
    return arg;
}

static void check(const char *name, off_t bytes)
{
    struct stat found;
    MUST(stat(name, &found));
    CHECK(found.st_size == bytes, "%s has %lld bytes, expected %lld", name, (long long)found.st_size, (long long)bytes);
}

static int written(const char *name, int flags)
{
    static char text[BYTES];
    int fd = MUST(open(name, O_CREAT | O_TRUNC | flags, 0600));
    fill(text, sizeof text, (uint64_t)name[0]);
    CHECK_EQUAL(write(fd, text, sizeof text), BYTES);
    return fd;
}

int main(void)
{
    pthread_t thread[2];
    int status;
    log_fd = written("log", O_WRONLY);
    append_fd = written("errors", O_WRONLY | O_APPEND);
    part_fd = written("first.part", O_RDWR);
    map_fd = written("second.part", O_RDWR);
    pid_t child = MUST(fork());
    if (child == 0) {
        wait_for_go();
        CHECK_EQUAL(lseek(log_fd, 0, SEEK_CUR), BYTES);
        _exit(0);
    }
    for (int i = 0; i < 2; i++)
        CHECK_EQUAL(pthread_create(&thread[i], NULL, wait_here, NULL), 0);

    ready();

    for (int i = 0; i < 2; i++)
        CHECK_EQUAL(pthread_join(thread[i], NULL), 0);
    MUST(waitpid(-1, &status, 0));
    CHECK_EQUAL(status, 0);
    check("log", BYTES);
    check("errors", BYTES);
    check("first.part", BYTES);
    check("second.part", BYTES);
    CHECK_EQUAL(write(append_fd, "more", 4), 4);
    check("errors", BYTES + 4);
    CHECK_EQUAL(write(part_fd, "more", 4), 4);
    check("first.part", BYTES + 4);
    CHECK_EQUAL(lseek(map_fd, 0, SEEK_CUR), BYTES);
    pass();
}
