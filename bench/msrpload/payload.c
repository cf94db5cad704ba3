#include "payload.h"

#include <stdlib.h>
#include <string.h>

#define PERIOD 65521 /* a prime: starts of different units differ */
#define STRIDE 4099

static char pattern[PERIOD];

void payload_init(void)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 .";
    uint32_t state = 12345;
    for (int i = 0; i < PERIOD; i++) {
        state = state * 1664525u + 1013904223u;
        pattern[i] = alphabet[state >> 26];
    }
}

static void write_header(const struct unit *unit, char header[UNIT_HEADER])
{
    memcpy(header, "T=................ S=........ L=................\n\n", UNIT_HEADER);
    put_hex(header + 2, unit->sent_at, 16);
    put_hex(header + 21, unit->sequence, 8);
    put_hex(header + 32, unit->length, 16);
}

static bool read_header(const char header[UNIT_HEADER], struct unit *unit)
{
    uint64_t sequence;
    if (!get_hex(header + 2, 16, &unit->sent_at) || !get_hex(header + 21, 8, &sequence)
        || !get_hex(header + 32, 16, &unit->length))
        return false;
    unit->sequence = (uint32_t)sequence;
    return header[0] == 'T' && unit->length >= UNIT_HEADER;
}

/* Longest piece of the pattern, up to `count`, that holds the unit's bytes from `position` on. */
static struct slice piece(const struct unit *unit, uint64_t position, size_t count)
{
    size_t offset = (size_t)((position + (uint64_t)unit->sequence * STRIDE) % PERIOD);
    return (struct slice){pattern + offset, count < PERIOD - offset ? count : PERIOD - offset};
}

static size_t smaller(size_t a, uint64_t b)
{
    return a < b ? a : (size_t)b;
}

void payload_write(const struct unit *unit, uint64_t position, char *destination, size_t count)
{
    if (position < UNIT_HEADER) {
        char header[UNIT_HEADER];
        size_t length = smaller(count, UNIT_HEADER - position);
        write_header(unit, header);
        memcpy(destination, header + position, length);
        destination += length, position += length, count -= length;
    }
    while (count) {
        struct slice part = piece(unit, position, count);
        memcpy(destination, part.data, part.length);
        destination += part.length, position += part.length, count -= part.length;
    }
}

static size_t take_header(struct checker *checker, const char *bytes, size_t count)
{
    size_t length = smaller(count, UNIT_HEADER - checker->position);
    memcpy(checker->header + checker->position, bytes, length);
    checker->position += length;
    if (checker->position < UNIT_HEADER)
        return length;
    if (!read_header(checker->header, &checker->unit)) {
        checker->damaged++;
        checker->position = 0;
        return count; /* nothing tells where the next unit begins in this piece */
    }
    checker->damaged += checker->unit.sequence != checker->next_sequence;
    checker->next_sequence = checker->unit.sequence + 1;
    return length;
}

static size_t take_text(struct checker *checker, const char *bytes, size_t count)
{
    size_t length = smaller(count, checker->unit.length - checker->position);
    for (size_t done = 0; done < length;) {
        struct slice part = piece(&checker->unit, checker->position + done, length - done);
        checker->damaged += memcmp(bytes + done, part.data, part.length) != 0;
        done += part.length;
    }
    checker->position += length;
    return length;
}

void checker_feed(struct checker *checker, const char *bytes, size_t count,
                  void (*complete)(const struct unit *unit, void *context), void *context)
{
    checker->bytes += count;
    while (count) {
        size_t used = checker->position < UNIT_HEADER ? take_header(checker, bytes, count)
                                                      : take_text(checker, bytes, count);
        bytes += used;
        count -= used;
        if (checker->position >= UNIT_HEADER && checker->position == checker->unit.length) {
            checker->units++;
            checker->position = 0;
            complete(&checker->unit, context);
        }
    }
}
