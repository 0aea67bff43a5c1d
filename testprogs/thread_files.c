// Checks a thread that has a descriptor table and a working directory of its own (unshare in a thread).
#include "journey.h"
#include <pthread.h>
#include <sched.h>

static volatile int arrived, shared_fd;

static void *body(void *arg)
{
    (void)arg;
    MUST(mkdir("below", 0755));
    MUST(unshare(CLONE_FILES | CLONE_FS));
    MUST(chdir("below"));
    close(shared_fd);
    MUST(dup2(0, 200));
    arrived = 1;
    while (access("../go", F_OK))
        doze(10);
    CHECK(fcntl(200, F_GETFD) == 0, "the thread's descriptor is lost");
    CHECK(fcntl(shared_fd, F_GETFD) == -1, "a descriptor that the thread closed is back");
    MUST(access("../below", F_OK));
    return NULL;
}

int main(void)
{
    pthread_t thread;
    shared_fd = MUST(open("file", O_RDWR | O_CREAT, 0600));
    CHECK_EQUAL(pthread_create(&thread, NULL, body, NULL), 0);
    while (!arrived)
        doze(1);

    ready();

    CHECK(fcntl(200, F_GETFD) == -1, "main has the thread's descriptor");
    CHECK(fcntl(shared_fd, F_GETFD) == 0, "main has lost a descriptor");
    MUST(access("below", F_OK));
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    pass();
}
