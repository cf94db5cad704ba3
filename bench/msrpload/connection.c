#define _GNU_SOURCE
#include "connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_PER_TURN 512
#define READ_SIZE 65536
#define READS_PER_TURN 4 /* so that one busy connection does not keep the others waiting */
#define TLS_RECORD 16384

void loop_init(struct loop *loop, const struct options *options)
{
    *loop = (struct loop){.options = options, .port = options->port, .epoll = epoll_create1(EPOLL_CLOEXEC)};
    loop->last_marked = &loop->marked;
    if (!options->tls)
        return;
    loop->tls = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(loop->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(loop->tls, SSL_VERIFY_NONE, NULL);
}

static void watch(struct connection *connection, int operation, bool room)
{
    struct epoll_event event = {.data.ptr = connection};
    event.events = (connection->throttled ? 0 : EPOLLIN) | (room ? EPOLLOUT : 0);
    connection->waits_for_room = room;
    epoll_ctl(connection->loop->epoll, operation, connection->socket, &event);
}

static void wait_for_room(struct connection *connection, bool room)
{
    if (room != connection->waits_for_room)
        watch(connection, EPOLL_CTL_MOD, room);
}

/* Spread connections over loopback addresses: a relay limits how many come from one. */
static void bind_source(struct connection *connection, int index)
{
    struct sockaddr_in source = {.sin_family = AF_INET};
    int one = 1;
    if (connection->loop->options->source_addresses == 1)
        return;
    source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(index % connection->loop->options->source_addresses));
    setsockopt(connection->socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(connection->socket, (struct sockaddr *)&source, sizeof source) < 0)
        fail("bind: %s", strerror(errno));
}

static void start_connecting(struct connection *connection)
{
    const struct options *options = connection->loop->options;
    struct sockaddr_in target = {.sin_family = AF_INET, .sin_port = htons((uint16_t)connection->loop->port)};
    int one = 1;
    connection->socket = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection->socket < 0)
        fail("socket: %s", strerror(errno));
    setsockopt(connection->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    bind_source(connection, connection->loop->opened++);
    if (inet_pton(AF_INET, options->host, &target.sin_addr) != 1)
        fail("%s is no IPv4 address", options->host);
    if (connect(connection->socket, (struct sockaddr *)&target, sizeof target) < 0 && errno != EINPROGRESS)
        fail("connect: %s", strerror(errno));
    watch(connection, EPOLL_CTL_ADD, true);
}

struct connection *connection_open(struct loop *loop, const struct connection_handlers *handlers, void *owner)
{
    struct connection *connection = allocate_zeroed(1, sizeof *connection);
    connection->loop = loop;
    connection->handlers = handlers;
    connection->owner = owner;
    connection->read_budget = -1;
    start_connecting(connection);
    return connection;
}

void connection_close(struct connection *connection)
{
    struct linger reset = {1, 0}; /* no TIME_WAIT: thousands are set up and closed */
    if (connection->state == CLOSED)
        return;
    connection->state = CLOSED;
    setsockopt(connection->socket, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(connection->socket);
    connection->next_dead = connection->loop->dead;
    connection->loop->dead = connection;
}

static void lost(struct connection *connection, const char *reason)
{
    if (connection->state == CLOSED)
        return;
    connection_close(connection);
    if (connection->handlers->closed)
        connection->handlers->closed(connection, reason);
}

static void opened(struct connection *connection)
{
    struct sockaddr_in local;
    socklen_t length = sizeof local;
    char host[INET_ADDRSTRLEN];
    getsockname(connection->socket, (struct sockaddr *)&local, &length);
    inet_ntop(AF_INET, &local.sin_addr, host, sizeof host);
    snprintf(connection->address, sizeof connection->address, "%s:%d", host, ntohs(local.sin_port));
    connection->state = OPEN;
    wait_for_room(connection, false);
    connection->handlers->opened(connection);
}

static void shake_hands(struct connection *connection)
{
    int result = SSL_do_handshake(connection->tls);
    if (result == 1) {
        opened(connection);
        return;
    }
    int error = SSL_get_error(connection->tls, result);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
        lost(connection, "TLS handshake failed");
    else
        wait_for_room(connection, error == SSL_ERROR_WANT_WRITE);
}

static void connected(struct connection *connection)
{
    if (!connection->loop->tls) {
        opened(connection);
        return;
    }
    connection->tls = SSL_new(connection->loop->tls);
    SSL_set_fd(connection->tls, connection->socket);
    SSL_set_connect_state(connection->tls);
    connection->state = HANDSHAKING;
    shake_hands(connection);
}

/* Bytes written, 0 when there is no room now, negative when the connection is lost. */
static ssize_t write_some(struct connection *connection)
{
    char *bytes = buffer_front(&connection->output);
    size_t count = buffer_length(&connection->output);
    ssize_t written;
    if (!connection->tls) {
        written = send(connection->socket, bytes, count, MSG_NOSIGNAL);
        return written < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : written;
    }
    written = SSL_write(connection->tls, bytes, count > TLS_RECORD ? TLS_RECORD : (int)count);
    if (written > 0)
        return written;
    int error = SSL_get_error(connection->tls, (int)written);
    return error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ ? 0 : -1;
}

static void flush(struct connection *connection)
{
    while (connection->state == OPEN && buffer_length(&connection->output)) {
        ssize_t written = write_some(connection);
        if (written < 0) {
            lost(connection, "closed by the relay while writing");
            return;
        }
        if (written == 0) {
            wait_for_room(connection, true);
            return;
        }
        buffer_remove(&connection->output, (size_t)written);
    }
    if (connection->state != OPEN)
        return;
    wait_for_room(connection, false);
    if (connection->handlers->written)
        connection->handlers->written(connection);
}

static void mark(struct connection *connection)
{
    if (connection->marked)
        return;
    connection->marked = true;
    connection->next_marked = NULL;
    *connection->loop->last_marked = connection;
    connection->loop->last_marked = &connection->next_marked;
}

char *connection_room(struct connection *connection, size_t count)
{
    mark(connection);
    return buffer_reserve(&connection->output, count);
}

void connection_sent(struct connection *connection, size_t count)
{
    buffer_added(&connection->output, count);
}

void connection_send(struct connection *connection, const char *bytes, size_t count)
{
    memcpy(connection_room(connection, count), bytes, count);
    connection_sent(connection, count);
}

static void handle_frames(struct connection *connection)
{
    const struct connection_handlers *handlers = connection->handlers;
    struct frame_parser *parser = &connection->parser;
    struct frame_head head;
    size_t used;
    while (connection->state == OPEN) {
        const char *bytes = buffer_front(&connection->input);
        switch (frame_next(parser, bytes, buffer_length(&connection->input), &head, &used)) {
        case FRAME_INCOMPLETE: return;
        case FRAME_HEAD: handlers->head(connection, &head); break;
        case FRAME_BODY: handlers->body(connection, parser->body.data, parser->body.length); break;
        case FRAME_END: handlers->end(connection, parser->flag); break;
        case FRAME_BAD: lost(connection, "the relay sent something that is not MSRP"); return;
        }
        if (connection->state == OPEN)
            buffer_remove(&connection->input, used);
    }
}

/* Bytes read, 0 when there are none now, negative when the connection is lost. */
static ssize_t read_some(struct connection *connection, char *bytes, size_t count)
{
    if (!connection->tls) {
        ssize_t received = recv(connection->socket, bytes, count, 0);
        if (received < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        return received == 0 ? -1 : received;
    }
    int received = SSL_read(connection->tls, bytes, (int)count);
    if (received > 0)
        return received;
    int error = SSL_get_error(connection->tls, received);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static void throttle(struct connection *connection, bool on)
{
    if (on == connection->throttled)
        return;
    connection->throttled = on;
    watch(connection, EPOLL_CTL_MOD, connection->waits_for_room);
}

static size_t readable_now(const struct connection *connection)
{
    int64_t budget = connection->read_budget;
    return budget >= 0 && budget < READ_SIZE ? (size_t)budget : READ_SIZE;
}

/* Whether bytes may wait where epoll does not see them: decrypted already, inside the library. */
static bool has_hidden_bytes(const struct connection *connection)
{
    return connection->tls && SSL_pending(connection->tls) > 0;
}

static void read_all(struct connection *connection)
{
    for (int reads = 0; connection->state == OPEN; reads++) {
        if (reads >= READS_PER_TURN && !has_hidden_bytes(connection))
            return;
        size_t wanted = readable_now(connection);
        if (wanted == 0) {
            throttle(connection, true);
            return;
        }
        ssize_t received = read_some(connection, buffer_reserve(&connection->input, wanted), wanted);
        if (received < 0) {
            lost(connection, "closed by the relay");
            return;
        }
        if (received == 0)
            return;
        buffer_added(&connection->input, (size_t)received);
        if (connection->read_budget >= 0)
            connection->read_budget -= received;
        handle_frames(connection);
        if (!connection->tls && (size_t)received < wanted)
            return;
    }
}

void connection_allow(struct connection *connection, uint64_t bytes)
{
    if (connection->read_budget < 0)
        connection->read_budget = 0;
    connection->read_budget += (int64_t)bytes;
    throttle(connection, false);
    if (connection->tls)
        read_all(connection); /* for bytes that epoll does not see */
}

static void on_event(struct connection *connection, uint32_t events)
{
    switch (connection->state) {
    case CONNECTING:
        if (events & (EPOLLERR | EPOLLHUP))
            lost(connection, "connection refused");
        else if (events & EPOLLOUT)
            connected(connection);
        return;
    case HANDSHAKING: shake_hands(connection); return;
    case CLOSED: return;
    case OPEN: break;
    }
    if (events & EPOLLOUT)
        flush(connection);
    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
        read_all(connection);
}

static void flush_marked(struct loop *loop)
{
    struct connection *marked = loop->marked;
    loop->marked = NULL;
    loop->last_marked = &loop->marked;
    for (struct connection *next; marked; marked = next) {
        next = marked->next_marked;
        marked->marked = false;
        if (!marked->waits_for_room)
            flush(marked);
    }
}

/* One that is still in the list of marked ones is kept until the next turn has taken it out. */
static void free_dead(struct loop *loop)
{
    struct connection *dead = loop->dead;
    loop->dead = NULL;
    for (struct connection *next; dead; dead = next) {
        next = dead->next_dead;
        if (dead->marked) {
            dead->next_dead = loop->dead;
            loop->dead = dead;
            continue;
        }
        SSL_free(dead->tls);
        buffer_free(&dead->input);
        buffer_free(&dead->output);
        free(dead);
    }
}

void loop_turn(struct loop *loop, int milliseconds)
{
    struct epoll_event events[EVENTS_PER_TURN];
    int count = epoll_wait(loop->epoll, events, EVENTS_PER_TURN, milliseconds);
    loop->now = now_ns();
    for (int i = 0; i < count; i++)
        on_event(events[i].data.ptr, events[i].events);
    if (loop->before_flush)
        loop->before_flush(loop);
    flush_marked(loop);
    free_dead(loop);
}
