/* All users of a run, what they have sent, and what became of it. */
#ifndef SITE_H
#define SITE_H

#include "histogram.h"
#include "process_tree.h"
#include "user.h"

#define MAX_STATUS 700

/* Everything is counted once, but for `statuses`: final responses to MESSAGE by status. */
struct counts {
    uint64_t sent;           /* MESSAGEs, without retransmissions */
    uint64_t statuses[MAX_STATUS];
    uint64_t timeouts;       /* timer F fired */
    uint64_t delivered;      /* MESSAGEs that arrived, each once */
    uint64_t redelivered;    /* the same branch again: a retransmission of the server's */
    uint64_t duplicates;     /* the same Call-ID and CSeq with another branch: delivered twice */
    uint64_t damaged;        /* another body than was sent */
    uint64_t misdelivered;   /* to somebody else */
    uint64_t unfounded;      /* answered 200 that did not arrive */
    uint64_t strays;         /* requests and responses that belong to nothing known */
    uint64_t unlisted;       /* REGISTER answered 200 without the binding */
    uint64_t challenges;
};

struct site {
    const struct options *options;
    struct flows flows;
    struct calls calls;
    struct user *users;
    int user_count, registering, registered, refused, gone;
    struct counts counts;
    /* What a mode wants to know, each may be NULL: */
    void (*on_registered)(struct site *site, struct user *user);
    void (*on_refused)(struct site *site, struct user *user);
    void (*on_answered)(struct site *site, struct call *call, int status); /* status 0: timer F */
    void *mode;
};

void site_init(struct site *site, const struct options *options);

/* Turn the loop once, for at most so long; false when a connection was lost. */
bool site_turn(struct site *site, int milliseconds);

/* Register all users, waiting as long as that takes; false when one was refused. */
bool site_register_all(struct site *site);

/* Remove all bindings, so that the next run finds none; gives up after some seconds. */
void site_unregister_all(struct site *site);

/* Why the run does not count, whatever the mode; NULL when nothing is wrong. */
const char *site_error(const struct site *site, char *text, size_t size);

#endif
