// Checks a program that waits inside a signal handler, itself interrupted by another on the alternate stack: both
// frames return properly afterwards.
#include "journey.h"

static char stack[65536];
static volatile int trace[8], n_trace;

static void inner(int signal)
{
    (void)signal;
    double value = 1.5 * n_trace;
    ready();
    CHECK(value == 1.5 * n_trace, "a floating point value is lost");
    CHECK((char *)&value >= stack && (char *)&value < stack + sizeof stack, "the handler is not on its stack");
    trace[n_trace++] = 2;
}

static void outer(int signal)
{
    sigset_t mask;
    signal_self(SIGUSR2);
    sigprocmask(SIG_SETMASK, NULL, &mask);
    CHECK(sigismember(&mask, SIGTERM) && sigismember(&mask, signal), "the handler's mask is lost");
    CHECK(!sigismember(&mask, SIGUSR2), "the inner mask remains");
    trace[n_trace++] = 1;
}

int main(void)
{
    struct sigaction first = { .sa_handler = outer }, second = { .sa_handler = inner, .sa_flags = SA_ONSTACK };
    stack_t alternate = { .ss_sp = stack, .ss_size = sizeof stack };
    sigset_t mask;
    sigaddset(&first.sa_mask, SIGTERM);
    MUST(sigaltstack(&alternate, NULL));
    MUST(sigaction(SIGUSR1, &first, NULL));
    MUST(sigaction(SIGUSR2, &second, NULL));

    signal_self(SIGUSR1);

    trace[n_trace++] = 0;
    CHECK(n_trace == 3 && trace[0] == 2 && trace[1] == 1, "the handlers did not return in order");
    sigprocmask(SIG_SETMASK, NULL, &mask);
    for (int i = 1; i <= 64; i++)
        CHECK(!sigismember(&mask, i), "signal %d is still blocked", i);
    pass();
}
