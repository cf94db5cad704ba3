#define _GNU_SOURCE
#include "pair.h"

#include <stdio.h>
#include <string.h>

#define SECOND 1000000000ull
#define SILENCE (10 * SECOND)
#define ID_OFFSET 5  /* after "MSRP " */
#define ID_LENGTH 16

static void mark(struct pair *pair)
{
    if (pair->is_marked)
        return;
    pair->is_marked = true;
    pair->next_marked = NULL;
    *pair->traffic->last_marked = pair;
    pair->traffic->last_marked = &pair->next_marked;
}

/* The part of a SEND that is equal in all of a pair's messages. */
static void build_head(struct pair *pair)
{
    const char *receiver = pair->receiver.session.uri, *path = pair->receiver.session.use_path;
    unsigned long long size = pair->traffic->loop.options->size;
    int length = snprintf(pair->head, sizeof pair->head,
                          "MSRP iiiiiiiiiiiiiiii SEND\r\nTo-Path: %s %s\r\nFrom-Path: %s\r\nMessage-ID: ", path, receiver,
                          pair->sender.session.uri);
    pair->message_id_offset = (size_t)length;
    length += snprintf(pair->head + length, sizeof pair->head - (size_t)length,
                       "iiiiiiiiiiiiiiii\r\nByte-Range: 1-%llu/%llu\r\nContent-Type: text/plain\r\n\r\n", size, size);
    pair->head_length = (size_t)length;
}

static void put_id(const struct pair *pair, uint32_t sequence, char id[ID_LENGTH])
{
    put_hex(id, (uint64_t)pair->receiver.session.index, 4);
    memcpy(id + 4, ".wig", 4);
    put_hex(id + 8, sequence, 8);
}

static void send_message(struct pair *pair)
{
    struct connection *connection = pair->sender.session.connection;
    struct unit unit = {.sent_at = now_ns(), .length = connection->loop->options->size, .sequence = (uint32_t)pair->sent};
    size_t total = pair->head_length + unit.length + 9 + ID_LENGTH + 3;
    char *out = connection_room(connection, total), id[ID_LENGTH];
    put_id(pair, unit.sequence, id);
    memcpy(out, pair->head, pair->head_length);
    memcpy(out + ID_OFFSET, id, ID_LENGTH);
    memcpy(out + pair->message_id_offset, id, ID_LENGTH);
    out += pair->head_length;
    payload_write(&unit, 0, out, unit.length);
    out += unit.length;
    memcpy(out, "\r\n-------", 9);
    memcpy(out + 9, id, ID_LENGTH);
    memcpy(out + 9 + ID_LENGTH, "$\r\n", 3);
    connection_sent(connection, total);
    pair->sent++;
}

/* A message leaves the window when it has arrived and has been answered. */
static void fill_window(struct pair *pair)
{
    uint64_t window = (uint64_t)pair->traffic->loop.options->window;
    for (;;) {
        uint64_t arrived = pair->checker.units;
        uint64_t done = pair->answered < arrived ? pair->answered : arrived;
        if (pair->sent - done >= window || pair->sender.session.connection->state != OPEN)
            return;
        send_message(pair);
    }
}

static void on_response(struct endpoint *endpoint, const struct frame_head *head)
{
    struct traffic *traffic = endpoint->pair->traffic;
    if (head->status != 200) {
        traffic->bad_statuses++;
        if (!traffic->first_bad_status)
            traffic->first_bad_status = head->status;
    }
    if (endpoint->receives) {
        traffic->unexpected++;
        return;
    }
    endpoint->pair->answered++;
    mark(endpoint->pair);
}

static void on_head(struct connection *connection, const struct frame_head *head);
static void on_body(struct connection *connection, const char *bytes, size_t count);
static void on_end(struct connection *connection, char flag);
static void on_opened(struct connection *connection);
static void on_closed(struct connection *connection, const char *reason);

static const struct connection_handlers HANDLERS = {
    .opened = on_opened, .head = on_head, .body = on_body, .end = on_end, .closed = on_closed,
};

static void receiver_ready(struct pair *pair)
{
    struct loop *loop = &pair->traffic->loop;
    loop->port = loop->options->sender_port ? loop->options->sender_port : loop->options->port;
    pair->sender.session.connection = connection_open(loop, &HANDLERS, &pair->sender);
}

static void on_opened(struct connection *connection)
{
    struct endpoint *endpoint = connection->owner;
    struct pair *pair = endpoint->pair;
    session_init(&endpoint->session, connection, (int)(pair - pair->traffic->pairs));
    if (endpoint->receives) {
        session_authenticate(&endpoint->session);
        return;
    }
    build_head(pair);
    pair->traffic->ready++;
}

static void on_auth_response(struct endpoint *endpoint)
{
    if (endpoint->session.state == SESSION_GRANTED)
        receiver_ready(endpoint->pair);
    else if (endpoint->session.state == SESSION_REFUSED)
        endpoint->pair->traffic->first_bad_status = endpoint->session.status;
}

static void on_head(struct connection *connection, const struct frame_head *head)
{
    struct endpoint *endpoint = connection->owner;
    struct traffic *traffic = endpoint->pair->traffic;
    switch (head->method) {
    case METHOD_RESPONSE:
        if (session_response(&endpoint->session, head))
            on_auth_response(endpoint);
        else
            on_response(endpoint, head);
        break;
    case METHOD_SEND:
        traffic->unexpected += !endpoint->receives;
        answer_prepare(&endpoint->answer, head, endpoint->session.uri);
        break;
    case METHOD_REPORT: traffic->reports++; break;
    case METHOD_OTHER: traffic->unexpected++; break;
    }
}

static void on_unit(const struct unit *unit, void *context)
{
    struct pair *pair = context;
    mark(pair);
    pair->traffic->arrived(unit, pair->traffic);
}

static void on_body(struct connection *connection, const char *bytes, size_t count)
{
    struct endpoint *endpoint = connection->owner;
    if (endpoint->receives)
        checker_feed(&endpoint->pair->checker, bytes, count, on_unit, endpoint->pair);
}

static void on_end(struct connection *connection, char flag)
{
    struct endpoint *endpoint = connection->owner;
    endpoint->pair->traffic->unexpected += flag == '#';
    answer_send(&endpoint->answer, connection);
}

static void on_closed(struct connection *connection, const char *reason)
{
    struct endpoint *endpoint = connection->owner;
    endpoint->pair->traffic->lost_connections++;
    endpoint->pair->traffic->lost_reason = reason;
    endpoint->session.connection = NULL;
}

static void start_pair(struct traffic *traffic)
{
    struct pair *pair = &traffic->pairs[traffic->started++];
    pair->traffic = traffic;
    pair->receiver.pair = pair->sender.pair = pair;
    pair->receiver.receives = true;
    traffic->loop.port = traffic->loop.options->port;
    pair->receiver.session.connection = connection_open(&traffic->loop, &HANDLERS, &pair->receiver);
}

/* Each pair whose window has room sends. */
static void fill_windows(struct loop *loop)
{
    struct traffic *traffic = (struct traffic *)((char *)loop - offsetof(struct traffic, loop));
    struct pair *marked = traffic->marked;
    traffic->marked = NULL;
    traffic->last_marked = &traffic->marked;
    for (; marked; marked = marked->next_marked) {
        marked->is_marked = false;
        if (traffic->sending && marked->sender.session.connection)
            fill_window(marked);
    }
}

bool pairs_connect(struct traffic *traffic, const struct options *options)
{
    uint64_t progress = now_ns();
    loop_init(&traffic->loop, options);
    traffic->loop.before_flush = fill_windows;
    traffic->last_marked = &traffic->marked;
    traffic->pairs = allocate_zeroed((size_t)options->pairs, sizeof *traffic->pairs);
    while (traffic->ready < options->pairs) {
        int ready = traffic->ready;
        while (traffic->started < options->pairs && traffic->started - traffic->ready < options->concurrency)
            start_pair(traffic);
        loop_turn(&traffic->loop, 50);
        if (traffic->ready > ready)
            progress = now_ns();
        if (traffic->lost_connections || traffic->first_bad_status || now_ns() - progress > SILENCE)
            return false;
    }
    return true;
}

void pairs_start(struct traffic *traffic)
{
    traffic->sending = true;
    traffic->last_arrival = now_ns();
    for (int i = 0; i < traffic->started; i++)
        mark(&traffic->pairs[i]);
}

uint64_t pairs_missing(const struct traffic *traffic)
{
    uint64_t missing = 0;
    for (int i = 0; i < traffic->started; i++)
        missing += traffic->pairs[i].sent - traffic->pairs[i].checker.units;
    return missing;
}

uint64_t pairs_damaged(const struct traffic *traffic)
{
    uint64_t damaged = 0;
    for (int i = 0; i < traffic->started; i++)
        damaged += traffic->pairs[i].checker.damaged;
    return damaged;
}
