/* Connections of MSRP over TCP or TLS, driven by one epoll loop.
 *
 * What is to be sent is collected and written once per turn of the loop. Frames are handed to the owner in
 * pieces (see frame.h). A connection that was closed stays valid until the end of the turn.
 */
#ifndef CONNECTION_H
#define CONNECTION_H

#include <openssl/types.h>

#include "buffer.h"
#include "frame.h"
#include "options.h"

enum connection_state { CONNECTING, HANDSHAKING, OPEN, CLOSED };

struct connection;

/* What its owner is told; a NULL entry is not told. */
struct connection_handlers {
    void (*opened)(struct connection *connection);
    void (*head)(struct connection *connection, const struct frame_head *head);
    void (*body)(struct connection *connection, const char *bytes, size_t count);
    void (*end)(struct connection *connection, char flag);
    void (*written)(struct connection *connection); /* nothing waits to be sent any more */
    void (*closed)(struct connection *connection, const char *reason);
};

struct connection {
    struct loop *loop;
    const struct connection_handlers *handlers;
    void *owner;
    int socket;
    SSL *tls;
    enum connection_state state;
    bool waits_for_room, marked, throttled;
    int64_t read_budget; /* bytes that may be read now; negative: any number */
    struct buffer input, output;
    struct frame_parser parser;
    struct connection *next_marked, *next_dead;
    char address[64];    /* "127.0.0.1:PORT", once connected */
};

struct loop {
    int epoll;
    SSL_CTX *tls;
    const struct options *options;
    int port;            /* of connections opened from now on */
    struct connection *marked, **last_marked, *dead;
    void (*before_flush)(struct loop *loop); /* last chance to send in a turn; or NULL */
    int opened;
    uint64_t now;        /* when the current turn's events were read */
};

void loop_init(struct loop *loop, const struct options *options);

/* Handle what is ready, waiting at most so long for it; then write what was collected. */
void loop_turn(struct loop *loop, int milliseconds);

struct connection *connection_open(struct loop *loop, const struct connection_handlers *handlers, void *owner);

/* Return room in the output for `count` bytes; connection_sent says how many were put there. */
char *connection_room(struct connection *connection, size_t count);
void connection_sent(struct connection *connection, size_t count);
void connection_send(struct connection *connection, const char *bytes, size_t count);

/* Allow `bytes` more to be read; once called, nothing is read beyond what was allowed. */
void connection_allow(struct connection *connection, uint64_t bytes);

/* Close without telling the owner. */
void connection_close(struct connection *connection);

#endif
