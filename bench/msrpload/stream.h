/* The state of a streaming run: two sessions, one with a long message, one with small ones. */
#ifndef STREAM_H
#define STREAM_H

#include "histogram.h"
#include "payload.h"
#include "process_tree.h"
#include "session.h"

enum role { LONG_MESSAGE, SMALL_MESSAGES };

/* Sender, receiver and content of one session. */
struct flow {
    struct stream *stream;
    enum role role;
    struct session receiver, sender;
    struct checker checker;
    struct answer answer;
    uint64_t sent, answered;     /* messages of the small ones, bytes and chunks of the long one */
    bool sender_ready;
};

/* A connection over which messages arrive. */
struct arrival {
    struct stream *stream;
    struct flow *delivering;     /* whose chunk it is in the middle of */
};

struct stream {
    struct loop loop;
    struct flow long_message, probe;
    struct arrival shared, own;  /* both flows' connection, or the long message's; the small ones' */
    struct unit content;
    bool sending, chunk_open;
    uint64_t chunk_left, chunks;
    uint64_t last_progress, next_probe, next_sample, reading_since, allowed;
    struct histogram latencies;
    struct process_tree relay;
    long rss_before, rss_peak;
    int bad_status;
    uint64_t reports;
    const char *error;
};

/* Send the next of the small messages; latency counts from when it was due. */
void stream_send_probe(struct stream *stream, uint64_t due);

/* Keep the output of the long message filled; its content is made as it is needed. */
void stream_send_more(struct stream *stream);

#endif
