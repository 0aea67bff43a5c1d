// Many processes: `procs N` has N - 1 children that do nothing.
#include "load.h"

int main(int argc, char **argv)
{
    long n = count_of(argc, argv, "N");
    for (long i = 1; i < n; i++)
        if (MUST(fork()) == 0)
            for (;;)
                pause();
    ready();
}
