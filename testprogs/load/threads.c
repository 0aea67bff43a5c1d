// Many threads: `threads N` has N of them, the first included.
#include "load.h"

static void *idle(void *arg)
{
    (void)arg;
    for (;;)
        pause();
    return NULL;
}

int main(int argc, char **argv)
{
    long n = count_of(argc, argv, "N");
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 64 << 10);
    for (long i = 1; i < n; i++) {
        pthread_t thread;
        if (pthread_create(&thread, &small, idle, NULL)) {
            fprintf(stderr, "only %ld threads can be had\n", i);
            return 1;
        }
    }
    ready();
}
