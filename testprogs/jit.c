// Checks code made at run time: in executable anonymous memory, and in one memfd mapped twice (to write, to execute).
#include "journey.h"

// mov eax, <number>; ret
static void emit(unsigned char *at, int number)
{
    at[0] = 0xb8;
    memcpy(at + 1, &number, 4);
    at[5] = 0xc3;
}

static int run(const unsigned char *code)
{
    int (*function)(void);
    memcpy(&function, &code, sizeof function);
    return function();
}

int main(void)
{
    unsigned char *both = MUST(mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    unsigned char *only = MUST(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    int fd = MUST(memfd_create("code", 0));
    MUST(ftruncate(fd, PAGE));
    unsigned char *to_write = MUST(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    unsigned char *to_run = MUST(mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0));
    close(fd);
    emit(both, 111);
    emit(only, 222);
    emit(to_write, 333);
    MUST(mprotect(only, PAGE, PROT_EXEC));

    ready();

    CHECK_EQUAL(run(both), 111);
    CHECK_EQUAL(run(only), 222);
    CHECK_EQUAL(run(to_run), 333);
    emit(both, 112);
    emit(to_write, 334);
    CHECK_EQUAL(run(both), 112);
    CHECK_EQUAL(run(to_run), 334);
    pass();
}
