/* Message bodies whose every byte can be predicted, so that the receiver checks length, order and content.
 *
 * A body ("unit") starts with a header of fixed width: when it was sent, its sequence number, its length.
 * The rest is printable text that starts at another place of a fixed pattern for each sequence number.
 */
#ifndef PAYLOAD_H
#define PAYLOAD_H

#include "common.h"

#define UNIT_HEADER 50

struct unit {
    uint64_t sent_at;
    uint64_t length; /* header included */
    uint32_t sequence;
};

void payload_init(void);

/* Write `count` bytes of the unit from `position` on. */
void payload_write(const struct unit *unit, uint64_t position, char *destination, size_t count);

struct checker {
    struct unit unit;
    char header[UNIT_HEADER];
    uint64_t position;      /* bytes of the current unit seen */
    uint32_t next_sequence;
    uint64_t units, bytes, damaged;
};

/* Take received body bytes, whatever their cut; call `complete` for each whole unit. */
void checker_feed(struct checker *checker, const char *bytes, size_t count,
                  void (*complete)(const struct unit *unit, void *context), void *context);

#endif
