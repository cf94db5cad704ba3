/* A queue of bytes: appended at the end, taken from the front. */
#ifndef BUFFER_H
#define BUFFER_H

#include "common.h"

struct buffer {
    char *bytes;
    size_t start, end, capacity;
};

static inline size_t buffer_length(const struct buffer *buffer)
{
    return buffer->end - buffer->start;
}

static inline char *buffer_front(const struct buffer *buffer)
{
    return buffer->bytes + buffer->start;
}

/* Return where at least `room` bytes can be written; buffer_added says how many were. */
char *buffer_reserve(struct buffer *buffer, size_t room);

static inline void buffer_added(struct buffer *buffer, size_t count)
{
    buffer->end += count;
}

void buffer_append(struct buffer *buffer, const void *bytes, size_t count);
void buffer_remove(struct buffer *buffer, size_t count);
void buffer_free(struct buffer *buffer);

#endif
