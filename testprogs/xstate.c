// Checks the whole register state: threads that keep values in the general, x87, SSE, AVX and AVX-512 registers while
// they spin without a system call, so that they are interrupted anywhere.
#include "journey.h"
#include <pthread.h>

enum { GENERAL, X87, SSE, AVX, AVX512, KINDS };
static volatile uint64_t stop;
static volatile int arrived;
static const char *const names[KINDS] = { "general", "x87", "sse", "avx", "avx512" };

// Each loads registers from `in`, spins until `stop`, and stores them to `out`. They must not be inlined or use calls.
static void spin_general(const uint64_t *in, uint64_t *out)
{
    __asm__ volatile(
        "movq 0(%0), %%rax\n movq 8(%0), %%rbx\n movq 16(%0), %%r8\n movq 24(%0), %%r9\n movq 32(%0), %%r10\n"
        "movq 40(%0), %%r11\n movq 48(%0), %%r12\n movq 56(%0), %%r13\n movq 64(%0), %%r14\n movq 72(%0), %%r15\n"
        "1: cmpq $0, (%2)\n je 1b\n"
        "movq %%rax, 0(%1)\n movq %%rbx, 8(%1)\n movq %%r8, 16(%1)\n movq %%r9, 24(%1)\n movq %%r10, 32(%1)\n"
        "movq %%r11, 40(%1)\n movq %%r12, 48(%1)\n movq %%r13, 56(%1)\n movq %%r14, 64(%1)\n movq %%r15, 72(%1)\n"
        : : "r"(in), "r"(out), "r"(&stop)
        : "rax", "rbx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
}

static void spin_x87(const uint64_t *in, uint64_t *out)
{
    uint16_t control = 0x0f7f, control_out = 0;
    double value[8];
    for (int i = 0; i < 8; i++)
        value[i] = (double)(in[i] >> 12);
    __asm__ volatile(
        "fninit\n fldcw %3\n"
        "fldl 0(%0)\n fldl 8(%0)\n fldl 16(%0)\n fldl 24(%0)\n fldl 32(%0)\n fldl 40(%0)\n fldl 48(%0)\n fldl 56(%0)\n"
        "1: cmpq $0, (%2)\n je 1b\n"
        "fstpl 56(%1)\n fstpl 48(%1)\n fstpl 40(%1)\n fstpl 32(%1)\n fstpl 24(%1)\n fstpl 16(%1)\n fstpl 8(%1)\n fstpl 0(%1)\n"
        "fnstcw %4\n fninit\n"
        : : "r"(value), "r"(out), "r"(&stop), "m"(control), "m"(control_out)
        : "memory", "cc", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)");
    CHECK_EQUAL(*(volatile uint16_t *)&control_out, control);
    for (int i = 0; i < 8; i++) {
        double back;
        memcpy(&back, &out[i], 8);
        CHECK(back == value[i], "x87 register %d holds %f, expected %f", i, back, value[i]);
        out[i] = in[i];
    }
}

static void spin_sse(const uint64_t *in, uint64_t *out)
{
    uint32_t control = 0x1f80 | 0x6000 | 0x8000, control_out = 0, usual = 0x1f80;
#define LOAD(n) "movdqu 16*" #n "(%0), %%xmm" #n "\n"
#define STORE(n) "movdqu %%xmm" #n ", 16*" #n "(%1)\n"
#define ALL16(op) op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13) op(14) op(15)
    __asm__ volatile("ldmxcsr %3\n" ALL16(LOAD) "1: cmpq $0, (%2)\n je 1b\n" ALL16(STORE) "stmxcsr %4\n ldmxcsr %5\n"
                     : : "r"(in), "r"(out), "r"(&stop), "m"(control), "m"(control_out), "m"(usual)
                     : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                       "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    CHECK_EQUAL(*(volatile uint32_t *)&control_out & ~0x3f, control);
#undef LOAD
#undef STORE
}

static void spin_avx(const uint64_t *in, uint64_t *out)
{
#define LOAD(n) "vmovdqu 32*" #n "(%0), %%ymm" #n "\n"
#define STORE(n) "vmovdqu %%ymm" #n ", 32*" #n "(%1)\n"
    __asm__ volatile(ALL16(LOAD) "1: cmpq $0, (%2)\n je 1b\n" ALL16(STORE) "vzeroupper\n"
                     : : "r"(in), "r"(out), "r"(&stop)
                     : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                       "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
#undef LOAD
#undef STORE
}

__attribute__((target("avx512f,avx512bw"))) static void spin_avx512(const uint64_t *in, uint64_t *out)
{
#define LOAD(n) "vmovdqu64 64*" #n "(%0), %%zmm" #n "\n"
#define STORE(n) "vmovdqu64 %%zmm" #n ", 64*" #n "(%1)\n"
#define MASK_IN(n) "kmovq 2048+8*" #n "(%0), %%k" #n "\n"
#define MASK_OUT(n) "kmovq %%k" #n ", 2048+8*" #n "(%1)\n"
#define ALL32(op) ALL16(op) op(16) op(17) op(18) op(19) op(20) op(21) op(22) op(23) op(24) op(25) op(26) op(27) op(28) \
    op(29) op(30) op(31)
#define ALL8(op) op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7)
    __asm__ volatile(ALL32(LOAD) ALL8(MASK_IN) "1: cmpq $0, (%2)\n je 1b\n" ALL32(STORE) ALL8(MASK_OUT) "vzeroupper\n"
                     : : "r"(in), "r"(out), "r"(&stop)
                     : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                       "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm19",
                       "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29",
                       "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6", "k7");
}

static void (*const spins[KINDS])(const uint64_t *, uint64_t *) = {
    spin_general, spin_x87, spin_sse, spin_avx, spin_avx512,
};
static const size_t sizes[KINDS] = { 80, 64, 256, 512, 2048 + 64 };

static void *body(void *arg)
{
    uintptr_t kind = (uintptr_t)arg;
    uint64_t in[300], out[300];
    fill(in, sizeof in, kind * 31);
    memset(out, 0, sizeof out);
    __atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST);
    spins[kind](in, out);
    for (size_t i = 0; i < sizes[kind] / 8; i++)
        CHECK(in[i] == out[i], "%s: word %zu is %#llx, expected %#llx", names[kind], i, (unsigned long long)out[i],
              (unsigned long long)in[i]);
    return NULL;
}

int main(void)
{
    pthread_t thread[KINDS];
    int kinds = SSE + 1;
    if (__builtin_cpu_supports("avx"))
        kinds = AVX + 1;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw"))
        kinds = AVX512 + 1;
    for (uintptr_t i = 0; i < (uintptr_t)kinds; i++)
        CHECK_EQUAL(pthread_create(&thread[i], NULL, body, (void *)i), 0);
    while (arrived < kinds)
        doze(1);
    doze(20);

    ready();

    stop = 1;
    for (int i = 0; i < kinds; i++)
        CHECK_EQUAL(pthread_join(thread[i], NULL), 0);
    pass();
}
