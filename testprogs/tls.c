// Checks thread-local memory: the fs base of every thread, a gs base of our own, thread-specific data and destructors.
#include "journey.h"
#include <asm/prctl.h>
#include <pthread.h>

enum { N = 3 };
static __thread char local[5000] = { 1 };
static volatile int arrived, destroyed;
static pthread_key_t key;

static unsigned long base(int code)
{
    unsigned long value;
    MUST(syscall(SYS_arch_prctl, code, &value));
    return value;
}

static void destroy(void *value)
{
    destroyed += *(int *)value;
}

static void *body(void *arg)
{
    uintptr_t i = (uintptr_t)arg;
    static char other[N][64];
    static int specific = 1;
    unsigned long word, fs = base(ARCH_GET_FS);
    fill(local, sizeof local, i);
    fill(other[i], 64, i + 50);
    MUST(syscall(SYS_arch_prctl, ARCH_SET_GS, other[i]));
    pthread_setspecific(key, &specific);
    __atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST);
    wait_for_go();
    CHECK_EQUAL(base(ARCH_GET_FS), fs);
    CHECK_EQUAL(base(ARCH_GET_GS), (unsigned long)other[i]);
    CHECK_FILLED(local, sizeof local, i);
    __asm__ volatile("movq %%gs:0, %0" : "=r"(word));
    CHECK(!memcmp(&word, other[i], 8), "gs:0 is %#lx", word);
    CHECK(pthread_getspecific(key) == &specific, "specific data is lost");
    return NULL;
}

int main(void)
{
    pthread_t thread[N];
    pthread_key_create(&key, destroy);
    for (uintptr_t i = 0; i < N; i++)
        CHECK_EQUAL(pthread_create(&thread[i], NULL, body, (void *)i), 0);
    while (arrived < N)
        doze(1);

    ready();

    for (int i = 0; i < N; i++)
        CHECK_EQUAL(pthread_join(thread[i], NULL), 0);
    CHECK_EQUAL(destroyed, N);
    pass();
}
