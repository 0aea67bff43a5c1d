cc -O1 -static -o sieve sieve.c
