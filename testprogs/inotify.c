// Checks inotify: watches with their numbers and masks, also where a number before them is free again.
#include "journey.h"
#include <sys/inotify.h>

// Reads events until one with this watch and mask comes; fails when there is none.
static void expect(int fd, int watch, uint32_t mask, const char *name)
{
    static char bytes[4096] __attribute__((aligned(8)));
    static ssize_t used, at;
    for (;;) {
        if (at >= used) {
            used = read(fd, bytes, sizeof bytes);
            at = 0;
            CHECK(used > 0, "no event %#x of watch %d for %s", mask, watch, name);
        }
        struct inotify_event event;
        memcpy(&event, bytes + at, sizeof event);
        const char *about = event.len ? bytes + at + sizeof event : "";
        at += (ssize_t)(sizeof event + event.len);
        if (event.wd == watch && event.mask & mask && !strcmp(about, name))
            return;
    }
}

static void make(const char *path)
{
    MUST(close(MUST(open(path, O_WRONLY | O_CREAT, 0600))));
}

int main(void)
{
    MUST(mkdir("one", 0755));
    MUST(mkdir("two", 0755));
    make("file");
    int fd = MUST(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    int gone = MUST(inotify_add_watch(fd, "two", IN_CREATE));
    int one = MUST(inotify_add_watch(fd, "one", IN_CREATE | IN_DELETE));
    MUST(inotify_rm_watch(fd, gone));
    int two = MUST(inotify_add_watch(fd, "two", IN_DELETE));
    int file = MUST(inotify_add_watch(fd, "file", IN_MODIFY));
    // What removing a watch leaves in the queue (IN_IGNORED) is read before.
    expect(fd, gone, IN_IGNORED, "");

    ready();

    make("one/after");
    expect(fd, one, IN_CREATE, "after");
    make("two/made");
    MUST(unlink("two/made"));
    expect(fd, two, IN_DELETE, "made");
    int written = MUST(open("file", O_WRONLY));
    CHECK_EQUAL(write(written, "x", 1), 1);
    expect(fd, file, IN_MODIFY, "");
    CHECK_EQUAL(fcntl(fd, F_GETFD), FD_CLOEXEC);
    // The numbers are still those of the watches.
    MUST(inotify_rm_watch(fd, one));
    MUST(inotify_rm_watch(fd, two));
    pass();
}
