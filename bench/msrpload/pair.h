/* Two clients at a relay: one authenticated, which receives, and one that sends to it through the relay. */
#ifndef PAIR_H
#define PAIR_H

#include "payload.h"
#include "session.h"

struct pair;

struct endpoint {
    struct pair *pair;
    struct session session;
    struct answer answer;
    bool receives;
};

/* What all pairs of a run count together. */
struct traffic {
    struct loop loop;
    struct pair *pairs;
    int ready, started;                      /* pairs */
    bool sending;
    struct pair *marked, **last_marked;      /* pairs that may send more, in order */
    void (*arrived)(const struct unit *unit, void *context);
    uint64_t lost_connections, bad_statuses, reports, unexpected;
    int first_bad_status;
    const char *lost_reason;
    uint64_t last_arrival;
};

struct pair {
    struct traffic *traffic;
    struct endpoint receiver, sender;
    char head[2 * MAX_PATH];                 /* of each SEND, with places to fill in */
    size_t head_length, message_id_offset;
    struct checker checker;
    uint64_t sent, answered;
    struct pair *next_marked;
    bool is_marked;
};

/* Connect and authenticate all pairs; false when the relay refused or nothing came for ten seconds. */
bool pairs_connect(struct traffic *traffic, const struct options *options);

/* Let every pair fill its window, in each turn of the loop from now on. */
void pairs_start(struct traffic *traffic);

/* Messages that were sent and did not arrive. */
uint64_t pairs_missing(const struct traffic *traffic);
uint64_t pairs_damaged(const struct traffic *traffic);

#endif
