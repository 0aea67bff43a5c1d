// A busy crowd that checks itself: a ring of processes that pass a counter on through pipes while threads of each
// compute checksums over memory of their own.
//
// For the chaos tests: whatever moment a tool dies at, some of them are in a system call, some are computing. Speaks
// the protocol of the test programs. `crowd [PROCESSES [MIB]]`
#include "../journey.h"
#include <pthread.h>

static size_t length = 4 * MIB;
static volatile int stopping;

static uint64_t sum_of(const unsigned char *memory)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < length; i++)
        sum = sum * 31 + memory[i];
    return sum;
}

// A buffer that is checked and changed over and over: a page lost or doubled shows at the next turn.
static void *compute(void *arg)
{
    unsigned char *memory = arg;
    uint64_t sum = sum_of(memory);
    for (unsigned turn = 0; !stopping; turn++) {
        uint64_t now = sum_of(memory);
        CHECK(now == sum, "turn %u: the checksum is %#llx, was %#llx", turn, (unsigned long long)now, (unsigned long long)sum);
        fill(memory + turn % (length / PAGE) * PAGE, PAGE, turn + 1);
        sum = sum_of(memory);
    }
    return NULL;
}

// Takes the counter from the left, checks that it grew by one a hop, and hands it on.
static void take_part(int from, int to, long place, long n)
{
    unsigned char *memory = MUST(mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    pthread_t thread;
    long counter, expected = place;
    fill(memory, length, (uint64_t)place);
    CHECK(!pthread_create(&thread, NULL, compute, memory), "no thread");
    for (;;) {
        ssize_t got = MUST(read(from, &counter, sizeof counter));
        if (got == 0 || counter < 0)
            break;
        CHECK_EQUAL(got, sizeof counter);
        CHECK_EQUAL(counter, expected);
        expected += n;
        counter++;
        MUST(write(to, &counter, sizeof counter));
    }
    counter = -1;
    MUST(write(to, &counter, sizeof counter));
    stopping = 1;
    pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
    long n = argc > 1 ? atol(argv[1]) : 4;
    int first[2], left, link[2];
    long counter = 0, turns = 0;
    pid_t children[64];
    CHECK(0 < n && n <= 64, "from 1 to 64 processes");
    if (argc > 2)
        length = (size_t)atol(argv[2]) * MIB;
    MUST(pipe(first));
    left = first[0];
    for (long i = 0; i < n; i++) {
        MUST(pipe(link));
        children[i] = MUST(fork());
        if (children[i] == 0) {
            close(first[1]);
            close(link[0]);
            take_part(left, link[1], i, n);
            _exit(0);
        }
        close(left);
        close(link[1]);
        left = link[0];
    }
    MUST(write(verdict_fd, "READY\n", 6));
    for (; access("go", F_OK); turns++) {
        MUST(write(first[1], &counter, sizeof counter));
        CHECK_EQUAL(read(left, &counter, sizeof counter), sizeof counter);
        CHECK_EQUAL(counter, (turns + 1) * n);
    }
    wait_for_go();
    counter = -1;
    MUST(write(first[1], &counter, sizeof counter));
    for (long i = 0; i < n; i++)
        REAP(children[i]);
    pass();
}
