// Checks a program without any C library: one stack, no signal restorer, registers and sleeps that must not change.
// build: -static -nostdlib -ffreestanding -fno-stack-protector -fno-pie -no-pie
#include <stdint.h>

static long call(long number, long a, long b, long c)
{
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}

enum { WRITE = 1, ACCESS = 21, NANOSLEEP = 35, EXIT_GROUP = 231 };

// Many values live in registers at once; returns whether all of them came through.
static int registers_hold(void)
{
    uint64_t bad;
    __asm__ volatile(
        "mov $0x1111, %%rbx\n mov $0x2222, %%rsi\n mov $0x3333, %%rdi\n mov $0x4444, %%r8\n mov $0x5555, %%r9\n"
        "mov $0x6666, %%r10\n mov $0x7777, %%r12\n mov $0x8888, %%r13\n mov $0x9999, %%r14\n mov $0xaaaa, %%r15\n"
        "movq %%rbx, %%xmm7\n mov $20000, %%rcx\n std\n"
        "1: dec %%rcx\n jnz 1b\n"
        "pushfq\n pop %%rax\n cld\n not %%rax\n and $0x400, %%rax\n"
        "movq %%xmm7, %%rdx\n xor %%rbx, %%rdx\n or %%rdx, %%rax\n"
        "xor $0x1111, %%rbx\n or %%rbx, %%rax\n xor $0x2222, %%rsi\n or %%rsi, %%rax\n xor $0x3333, %%rdi\n or %%rdi, %%rax\n"
        "xor $0x4444, %%r8\n or %%r8, %%rax\n xor $0x5555, %%r9\n or %%r9, %%rax\n xor $0x6666, %%r10\n or %%r10, %%rax\n"
        "xor $0x7777, %%r12\n or %%r12, %%rax\n xor $0x8888, %%r13\n or %%r13, %%rax\n xor $0x9999, %%r14\n or %%r14, %%rax\n"
        "xor $0xaaaa, %%r15\n or %%r15, %%rax\n"
        : "=a"(bad)
        :
        : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r12", "r13", "r14", "r15", "xmm7", "memory", "cc");
    return bad == 0;
}

static void end(const char *text, long length, int status)
{
    call(WRITE, 1, (long)text, length);
    call(EXIT_GROUP, status, 0, 0);
}

// The red zone is live below the stack pointer of a program like this, so the stack must be aligned for what the compiler does.
__attribute__((force_align_arg_pointer, used)) void _start(void)
{
    int64_t moment[2] = { 0, 2000000 };
    call(WRITE, 1, (long)"READY\n", 6);
    while (call(ACCESS, (long)"go", 0, 0)) {
        if (call(NANOSLEEP, (long)moment, 0, 0))
            end("FAIL bare.c: a sleep was cut short\n", 36, 1);
        for (int i = 0; i < 50; i++)
            if (!registers_hold())
                end("FAIL bare.c: a register has changed\n", 36, 1);
    }
    end("PASS\n", 5, 0);
    for (;;) { }
}
