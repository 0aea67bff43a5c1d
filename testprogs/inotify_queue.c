// Checks inotify events that have not been read yet. The kernel takes no events from outside, so that a checkpoint may
// refuse this program.
// verdict: may be refused
#include "journey.h"
#include <sys/inotify.h>

int main(void)
{
    char bytes[4096] __attribute__((aligned(8)));
    MUST(mkdir("dir", 0755));
    int fd = MUST(inotify_init1(IN_NONBLOCK));
    int watch = MUST(inotify_add_watch(fd, "dir", IN_CREATE));
    MUST(close(MUST(open("dir/before", O_WRONLY | O_CREAT, 0600))));

    ready();

    ssize_t n = read(fd, bytes, sizeof bytes);
    CHECK(n > 0, "the event is lost: %s", strerror(errno));
    struct inotify_event event;
    memcpy(&event, bytes, sizeof event);
    CHECK_EQUAL(event.wd, watch);
    CHECK(event.mask & IN_CREATE, "the event is %#x", event.mask);
    CHECK_TEXT(bytes + sizeof event, "before");
    CHECK(read(fd, bytes, sizeof bytes) == -1 && errno == EAGAIN, "an event too many");
    pass();
}
