// Checks a program that computes all the time, in several threads that make and end others: it is interrupted
// anywhere, also while threads are born and die.
#include "journey.h"
#include <pthread.h>

static volatile int stop;
static uint64_t expected;

static uint64_t compute(void)
{
    uint64_t sum = 1;
    for (int i = 0; i < 20000; i++)
        sum = scramble(sum) + (uint64_t)((double)(sum >> 40) * 1.25);
    return sum;
}

static void *short_life(void *arg)
{
    return (void *)(compute() + (uintptr_t)arg);
}

static void *body(void *arg)
{
    (void)arg;
    for (uintptr_t i = 0; !stop; i++) {
        pthread_t thread;
        void *result;
        char *memory = malloc(1000 + i % 50000);
        memory[999] = (char)i;
        CHECK_EQUAL(compute(), expected);
        CHECK_EQUAL(pthread_create(&thread, NULL, short_life, (void *)i), 0);
        CHECK_EQUAL(pthread_join(thread, &result), 0);
        CHECK_EQUAL((uint64_t)(uintptr_t)result, expected + i);
        CHECK_EQUAL(memory[999], (char)i);
        free(memory);
    }
    return NULL;
}

int main(void)
{
    pthread_t thread[4];
    expected = compute();
    for (int i = 0; i < 4; i++)
        CHECK_EQUAL(pthread_create(&thread[i], NULL, body, NULL), 0);

    ready();

    stop = 1;
    for (int i = 0; i < 4; i++)
        CHECK_EQUAL(pthread_join(thread[i], NULL), 0);
    pass();
}
