// A statically linked program: sieves, and writes how many primes it found in each of many rounds.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
    enum { LIMIT = 3000000 };
    char *composite = malloc(LIMIT);
    FILE *result = fopen("result", "w");
    for (int round = 0; result && composite && round < 40; round++) {
        int count = 0;
        memset(composite, 0, LIMIT);
        for (int n = 2; n < LIMIT - round * 1000; n++) {
            count += !composite[n];
            for (int m = n; !composite[n] && (long)m * n < LIMIT && m < LIMIT / n; m++)
                composite[m * n] = 1;
        }
        fprintf(result, "%d %d\n", round, count);
    }
    return !result || fclose(result);
}
