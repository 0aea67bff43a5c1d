// Checks protection keys: the key of an area, the rights in each thread's register, and that the key is still taken.
// needs: pku
#include "journey.h"
#include <pthread.h>

static int key;
static volatile int arrived;

static void *body(void *arg)
{
    (void)arg;
    MUST(pkey_set(key, PKEY_DISABLE_WRITE));
    arrived = 1;
    wait_for_go();
    CHECK_EQUAL(pkey_get(key), PKEY_DISABLE_WRITE);
    return NULL;
}

int main(void)
{
    pthread_t thread;
    char value[32];
    char *area = MUST(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    fill(area, 4 * PAGE, 38);
    key = pkey_alloc(0, 0);
    if (key < 0)
        skip("no protection keys: %s", strerror(errno));
    MUST(pkey_mprotect(area, 4 * PAGE, PROT_READ | PROT_WRITE, key));
    CHECK_EQUAL(pthread_create(&thread, NULL, body, NULL), 0);
    while (!arrived)
        doze(1);
    // Now the process itself cannot reach the area, nor can the kernel on its behalf.
    MUST(pkey_set(key, PKEY_DISABLE_ACCESS));

    ready();

    CHECK_EQUAL(pkey_get(key), PKEY_DISABLE_ACCESS);
    CHECK(smaps_line(area, "ProtectionKey:", value, sizeof value), "the area has no key");
    CHECK_EQUAL(atoi(value), key);
    MUST(pkey_set(key, 0));
    CHECK_FILLED(area, 4 * PAGE, 38);
    CHECK(pkey_alloc(0, 0) != key, "the key was free");
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    pass();
}
