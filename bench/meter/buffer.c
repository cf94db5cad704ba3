#include "buffer.h"

#include <stdlib.h>
#include <string.h>

#define SMALLEST 4096

char *buffer_reserve(struct buffer *buffer, size_t room)
{
    size_t length = buffer_length(buffer);
    if (buffer->capacity - buffer->end < room) {
        if (buffer->start) {
            memmove(buffer->bytes, buffer->bytes + buffer->start, length);
            buffer->start = 0;
            buffer->end = length;
        }
        if (buffer->capacity - length < room) {
            size_t wanted = (length + room) * 2;
            buffer->capacity = wanted < SMALLEST ? SMALLEST : wanted;
            buffer->bytes = reallocate(buffer->bytes, buffer->capacity);
        }
    }
    return buffer->bytes + buffer->end;
}

void buffer_append(struct buffer *buffer, const void *bytes, size_t count)
{
    memcpy(buffer_reserve(buffer, count), bytes, count);
    buffer->end += count;
}

void buffer_remove(struct buffer *buffer, size_t count)
{
    buffer->start += count;
    if (buffer->start == buffer->end)
        buffer->start = buffer->end = 0;
}

void buffer_free(struct buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct buffer){0};
}
