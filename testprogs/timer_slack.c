// Checks the timer slack of two threads.
#include "journey.h"
#include <pthread.h>
#include <sys/prctl.h>

static volatile int arrived;

static void *body(void *arg)
{
    (void)arg;
    MUST(prctl(PR_SET_TIMERSLACK, 123456));
    arrived = 1;
    wait_for_go();
    CHECK_EQUAL(prctl(PR_GET_TIMERSLACK), 123456);
    return NULL;
}

int main(void)
{
    pthread_t thread;
    CHECK_EQUAL(pthread_create(&thread, NULL, body, NULL), 0);
    while (!arrived)
        doze(1);
    MUST(prctl(PR_SET_TIMERSLACK, 777));

    ready();

    CHECK_EQUAL(prctl(PR_GET_TIMERSLACK), 777);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    pass();
}
