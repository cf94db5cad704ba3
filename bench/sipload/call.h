/* Requests of the generator: client transactions (RFC 3261 section 17.1.2), and what arrived of each.
 *
 * A request's number stands in its branch, and a MESSAGE's in its Call-ID too: both sides find it without a search.
 * Timers E and F: each interval has a queue of its own, which is in order of time by itself. Numbers are kept for
 * longer than any request may take, so that a late delivery is still recognised.
 */
#ifndef CALL_H
#define CALL_H

#include "options.h"

#define NUMBER_DIGITS 16
#define CALLS_KEPT (1u << 20)

enum call_kind { CALL_REGISTER, CALL_MESSAGE };
enum call_queue { QUEUE_T1, QUEUE_2_T1, QUEUE_4_T1, QUEUE_T2, QUEUE_F, QUEUES };

struct call {
    uint64_t number;             /* 0: none */
    struct user *user;           /* who sent it */
    uint64_t due, sent_at, fires_at; /* nanoseconds */
    uint64_t delivered;          /* hash of the branch it was delivered with; 0: not yet */
    struct call *previous, *next;
    uint8_t kind, queue;
    bool pending, proceeding;
    bool exhausted;              /* no retransmission is left before timer F */
};

struct call_list {
    struct call *first, *last;
};

struct calls {
    struct call *table;
    uint64_t last_number;
    struct call_list queues[QUEUES];
    uint64_t intervals[QUEUES];  /* nanoseconds */
    bool retransmit;
    uint64_t pending, retransmissions;
    void (*retransmitted)(struct call *call, void *context); /* has to send it again */
    void (*timed_out)(struct call *call, void *context);
    void *context;
};

void calls_init(struct calls *calls, const struct options *options);

/* Begin a request that was due at `due` and is sent at `now`. */
struct call *call_begin(struct calls *calls, enum call_kind kind, struct user *user, uint64_t due, uint64_t now);

/* The request of that number, finished or not; NULL when there is none any more. */
struct call *calls_find(const struct calls *calls, uint64_t number);

/* A provisional response came: from now on timer E is T2. */
void call_proceed(struct call *call);

/* Its final response came, or nothing did. */
void call_end(struct calls *calls, struct call *call);

/* Send again what is due, give up what timer F ends. */
void calls_fire(struct calls *calls, uint64_t now);

#endif
