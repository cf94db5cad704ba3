/* What every file of a load generator uses. */
#ifndef COMMON_H
#define COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Part of a buffer that somebody else owns. */
struct slice {
    const char *data;
    size_t length;
};

/* Monotonic time in nanoseconds. */
uint64_t now_ns(void);

/* Print why on standard error and exit with status 2: the generator itself cannot go on. */
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* malloc, calloc and realloc that never return NULL. */
void *allocate(size_t size);
void *allocate_zeroed(size_t count, size_t size);
void *reallocate(void *memory, size_t size);

/* Hexadecimal numbers of fixed width, without a terminating zero. */
void put_hex(char *destination, uint64_t value, int digits);
bool get_hex(const char *source, int digits, uint64_t *value);

#endif
