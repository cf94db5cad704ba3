/* When messages are sent: as the window allows (closed loop), at a rate (open loop), or both. */
#ifndef TRAFFIC_H
#define TRAFFIC_H

#include "site.h"

struct traffic {
    struct site *site;
    bool sending;
    double rate;              /* per second of all senders; 0: as the window allows */
    uint64_t began, released; /* of the present rate */
    uint64_t left;            /* how many may still be sent */
    int next;                 /* whose turn it is */
};

/* Begin to send: at most `most` messages, all senders in turn. */
void traffic_start(struct traffic *traffic, struct site *site, double rate, uint64_t most);

/* Go on at another rate. */
void traffic_change_rate(struct traffic *traffic, double rate);

/* A final response to one of the user's messages came: without a rate the next one goes at once. */
void traffic_answered(struct traffic *traffic, struct user *user);

/* Send what is due and turn the loop for so many seconds; false when a connection was lost. */
bool traffic_run(struct traffic *traffic, double seconds);

/* Send no more, and wait at most so long for what is under way; false when a connection was lost. */
bool traffic_drain(struct traffic *traffic, double seconds);

#endif
