// What the load programs share: they are big in one way, say READY, and sleep until they are killed.
//
// `cargo xtask bench` checkpoints and restarts them. They check nothing; the programs of testprogs/ do.
#ifndef LOAD_H
#define LOAD_H
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define MUST(call) \
    ({ \
        __typeof__(call) result_ = (call); \
        if (result_ == (__typeof__(call))-1) { \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, strerror(errno)); \
            exit(1); \
        } \
        result_; \
    })

__attribute__((unused)) static long count_of(int argc, char **argv, const char *what)
{
    if (argc < 2 || atol(argv[1]) <= 0) {
        fprintf(stderr, "usage: %s %s\n", argv[0], what);
        exit(2);
    }
    return atol(argv[1]);
}

__attribute__((noreturn, unused)) static void ready(void)
{
    MUST(write(1, "READY\n", 6));
    for (;;)
        pause();
}

#endif
