/* UDP ports and TCP connections to the server, driven by one epoll loop.
 *
 * A datagram is sent at once; what goes over a connection is collected and written once per turn of the loop.
 */
#ifndef FLOW_H
#define FLOW_H

#include "buffer.h"
#include "options.h"
#include "sip.h"

struct flow {
    struct flows *flows;
    int socket;
    bool closed, marked, waits_for_room;
    struct buffer input, output;  /* of a connection */
    struct flow *next_marked;
    char address[64];             /* its own, "127.0.0.1:PORT" */
};

struct flows {
    const struct options *options;
    int epoll;
    int opened;
    struct flow *marked, **last_marked;
    void (*received)(struct flow *flow, const struct sip_message *message, void *context);
    void *context;
    uint64_t now;                 /* when the current turn's events were read */
    uint64_t unsent;              /* datagrams that the kernel did not take */
    const char *lost_reason;      /* why a connection is gone, or NULL */
    char server[64];              /* the server's address, "127.0.0.1:PORT" */
};

void flows_init(struct flows *flows, const struct options *options);

/* Open a port or a connection to the server; waits for the connection. */
struct flow *flow_open(struct flows *flows);

void flow_send(struct flow *flow, const char *bytes, size_t count);

/* Handle what is ready, waiting at most so long for it. */
void flows_turn(struct flows *flows, int milliseconds);

/* Write what was collected. */
void flows_flush(struct flows *flows);

#endif
