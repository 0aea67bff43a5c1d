// Checks memory that may only be executed, which the kernel guards by a protection key of its own, beside keys of the program.
// needs: pku
#include "journey.h"
#include <setjmp.h>

static sigjmp_buf back;
static int fault_code;
static int key_before, key_after, own;
static char *private_code, *shared_code, *plain_code, *area;

static void on_fault(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    fault_code = info->si_code;
    siglongjmp(back, 1);
}

static int reads(const volatile char *address)
{
    fault_code = 0;
    if (sigsetjmp(back, 1)) {
        // A handler begins without rights, and a jump out of it keeps that.
        pkey_set(key_after, PKEY_DISABLE_WRITE);
        return 0;
    }
    (void)*address;
    return 1;
}

static int key_of(const void *address)
{
    char value[32];
    CHECK(smaps_line(address, "ProtectionKey:", value, sizeof value), "the area at %p has no key", address);
    return atoi(value);
}

// mov $N, %eax; ret
static void *code(int n, int shared)
{
    unsigned char bytes[] = { 0xb8, (unsigned char)n, 0, 0, 0, 0xc3 };
    int fd = -1;
    if (shared) {
        fd = MUST(open("code", O_RDWR | O_CREAT | O_TRUNC, 0600));
        CHECK_EQUAL(write(fd, bytes, sizeof bytes), sizeof bytes);
    }
    int flags = shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
    char *area = MUST(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, flags, fd, 0));
    memcpy(area, bytes, sizeof bytes);
    if (shared)
        close(fd);
    return area;
}

static void verify(void)
{
    CHECK_EQUAL(pkey_get(key_after), PKEY_DISABLE_WRITE);
    CHECK_EQUAL(key_of(private_code), own);
    CHECK_EQUAL(key_of(shared_code), own);
    CHECK_EQUAL(key_of(plain_code), key_after);
    CHECK_EQUAL(key_of(area), key_after);
    CHECK_EQUAL(((int (*)(void))private_code)(), 7);
    CHECK_EQUAL(((int (*)(void))shared_code)(), 8);
    CHECK_EQUAL(((int (*)(void))plain_code)(), 9);
    CHECK(!reads(private_code) && fault_code == SEGV_PKUERR, "private code can be read, or fails by code %d", fault_code);
    CHECK(!reads(shared_code) && fault_code == SEGV_PKUERR, "shared code can be read, or fails by code %d", fault_code);
    CHECK(reads(area) && reads(plain_code), "what has the program's key cannot be read");
    // The key that was freed is the next one again, and the kernel's key is nobody else's.
    CHECK_EQUAL(pkey_alloc(0, 0), key_before);
    CHECK_EQUAL(pkey_free(own), -1);
    CHECK_EQUAL(pkey_mprotect(area, PAGE, PROT_READ, own), -1);
    // More code gets the kernel's key, too.
    char *more = code(5, 0);
    MUST(mprotect(more, PAGE, PROT_EXEC));
    CHECK_EQUAL(key_of(more), own);
    CHECK(!reads(more), "new code can be read");
}

static void child(void *unused)
{
    (void)unused;
    wait_for_go();
    verify();
}

int main(void)
{
    struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
    int status;
    MUST(sigaction(SIGSEGV, &action, NULL));
    key_before = pkey_alloc(0, 0);
    if (key_before < 0)
        skip("no protection keys: %s", strerror(errno));
    private_code = code(7, 0);
    MUST(mprotect(private_code, PAGE, PROT_EXEC));
    own = key_of(private_code);
    if (own == 0)
        skip("the kernel guards no code by a key");
    shared_code = code(8, 1);
    MUST(mprotect(shared_code, PAGE, PROT_EXEC));
    key_after = MUST(pkey_alloc(0, 0));
    plain_code = code(9, 0);
    MUST(pkey_mprotect(plain_code, PAGE, PROT_EXEC, key_after));
    area = MUST(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    MUST(pkey_mprotect(area, PAGE, PROT_READ | PROT_WRITE, key_after));
    MUST(pkey_set(key_after, PKEY_DISABLE_WRITE));
    MUST(pkey_free(key_before));
    spawn(child, NULL);

    ready();

    verify();
    MUST(wait(&status));
    CHECK_EQUAL(status, 0);
    pass();
}
