/* What the command line asks for. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "common.h"

#define MAX_TREES 16
#define MAX_URI 256

enum mode { MODE_MESSAGE, MODE_REGISTER, MODE_HOLD, MODE_TRANSACTIONS, MODE_OVERLOAD };

struct options {
    enum mode mode;
    const char *host;
    int port;
    bool tcp;
    const char *domain, *username, *password;
    const char *algorithm;     /* of digest; NULL: a challenge is a refusal */
    bool reuse_nonce;          /* answer with the last challenge's nonce before being asked */
    int source_addresses;      /* send from 127.0.0.1, 127.0.0.2, ... in turn */
    int users;                 /* register, hold */
    int users_per_socket;
    int concurrency;           /* registrations under way at once */
    int trees[MAX_TREES];      /* process ids of the server */
    int tree_count;
    int cpu;                   /* to stay on; -1: any */
    double duration, warm_up;  /* seconds */
    double gather;             /* seconds between two looks at the sockets, so that one wake-up serves several */
    double drain;              /* seconds that answers are awaited after the end */
    int pairs, window;         /* window 0: as many as the rate makes */
    bool both_ways;            /* both users of a pair send */
    double rate;               /* messages per second of all; 0: as fast as the window allows */
    double recovery_rate, recovery; /* overload: the rate afterwards, and seconds of it */
    uint64_t size;             /* bytes of a body */
    uint64_t messages;         /* transactions: how many */
    double hold;               /* hold: seconds until memory is read */
    bool retransmit;           /* over UDP, by timer E */
    double t1;                 /* seconds (RFC 3261 section 17.1.1.1) */
};

void options_parse(struct options *options, int count, char **arguments);

/* How many users take part in the mode. */
int options_users(const struct options *options);

#endif
