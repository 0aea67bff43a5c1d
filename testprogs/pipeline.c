// Checks a pipeline at work: a writer and a filter that are blocked in, or between, writes and reads all the time.
#include "journey.h"

static void transfer(int in, int out, unsigned char change)
{
    static unsigned char bytes[3000];
    ssize_t n;
    while ((n = read(in, bytes, sizeof bytes)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            bytes[i] ^= change;
        for (ssize_t done = 0, more; done < n; done += more)
            more = MUST(write(out, bytes + done, n - done));
    }
    CHECK(n == 0, "read: %s", strerror(errno));
}

int main(void)
{
    int a[2], b[2];
    static unsigned char bytes[5000];
    uint64_t sent = 0, received = 0;
    volatile int *stop = MUST(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    MUST(pipe(a));
    MUST(pipe(b));
    pid_t writer = MUST(fork());
    if (writer == 0) {
        close(a[0]);
        close(b[0]);
        close(b[1]);
        while (!*stop) {
            size_t length = 1 + scramble(sent) % sizeof bytes;
            for (size_t i = 0; i < length; i++)
                bytes[i] = (unsigned char)scramble(sent + i);
            for (size_t done = 0; done < length; done += MUST(write(a[1], bytes + done, length - done)))
                ;
            sent += length;
        }
        _exit(0);
    }
    pid_t filter = MUST(fork());
    if (filter == 0) {
        close(a[1]);
        close(b[0]);
        transfer(a[0], b[1], 0x5a);
        _exit(0);
    }
    close(a[0]);
    close(a[1]);
    close(b[1]);
    wait_until_in_call(writer, SYS_write);

    ready();

    ssize_t n;
    for (;;) {
        n = MUST(read(b[0], bytes, sizeof bytes));
        if (n == 0)
            break;
        for (ssize_t i = 0; i < n; i++)
            CHECK(bytes[i] == (unsigned char)(scramble(received + i) ^ 0x5a), "byte %llu differs",
                  (unsigned long long)(received + i));
        received += n;
        if (received > 2 * MIB)
            *stop = 1;
    }
    CHECK(received > 2 * MIB, "only %llu bytes came", (unsigned long long)received);
    REAP(writer);
    REAP(filter);
    pass();
}
