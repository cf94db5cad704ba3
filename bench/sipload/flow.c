#define _GNU_SOURCE
#include "flow.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_PER_TURN 512
#define DATAGRAMS_PER_READ 32
#define LONGEST_DATAGRAM 4096
#define READ_SIZE 65536
#define READS_PER_TURN 4 /* so that one busy connection does not keep the others waiting */
#define UDP_BUFFER (1 << 20)

void flows_init(struct flows *flows, const struct options *options)
{
    flows->options = options;
    flows->epoll = epoll_create1(EPOLL_CLOEXEC);
    flows->last_marked = &flows->marked;
    snprintf(flows->server, sizeof flows->server, "%s:%d", options->host, options->port);
}

/* Spread over loopback addresses: a server limits what comes from one. */
static void bind_source(struct flow *flow, int index)
{
    const struct options *options = flow->flows->options;
    struct sockaddr_in source = {.sin_family = AF_INET};
    int one = 1;
    if (options->source_addresses == 1)
        return;
    source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(index % options->source_addresses));
    setsockopt(flow->socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(flow->socket, (struct sockaddr *)&source, sizeof source) < 0)
        fail("bind: %s", strerror(errno));
}

static void connect_to_server(struct flow *flow)
{
    const struct options *options = flow->flows->options;
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options->port)};
    if (inet_pton(AF_INET, options->host, &server.sin_addr) != 1)
        fail("%s is not an IPv4 address", options->host);
    if (connect(flow->socket, (struct sockaddr *)&server, sizeof server) < 0)
        fail("connect to %s: %s", flow->flows->server, strerror(errno));
}

static void note_own_address(struct flow *flow)
{
    struct sockaddr_in own;
    socklen_t length = sizeof own;
    char text[INET_ADDRSTRLEN];
    getsockname(flow->socket, (struct sockaddr *)&own, &length);
    inet_ntop(AF_INET, &own.sin_addr, text, sizeof text);
    snprintf(flow->address, sizeof flow->address, "%s:%d", text, ntohs(own.sin_port));
}

static void tune(struct flow *flow)
{
    int one = 1, size = UDP_BUFFER;
    if (flow->flows->options->tcp)
        setsockopt(flow->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    else
        setsockopt(flow->socket, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    fcntl(flow->socket, F_SETFL, fcntl(flow->socket, F_GETFL) | O_NONBLOCK);
}

static void watch(struct flow *flow, int operation, bool room)
{
    struct epoll_event event = {.events = EPOLLIN | (room ? EPOLLOUT : 0), .data.ptr = flow};
    flow->waits_for_room = room;
    epoll_ctl(flow->flows->epoll, operation, flow->socket, &event);
}

struct flow *flow_open(struct flows *flows)
{
    struct flow *flow = allocate_zeroed(1, sizeof *flow);
    flow->flows = flows;
    flow->socket = socket(AF_INET, (flows->options->tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
    if (flow->socket < 0)
        fail("socket: %s", strerror(errno));
    bind_source(flow, flows->opened++);
    connect_to_server(flow);
    note_own_address(flow);
    tune(flow);
    watch(flow, EPOLL_CTL_ADD, false);
    return flow;
}

static void lost(struct flow *flow, const char *reason)
{
    if (flow->closed)
        return;
    flow->closed = true;
    flow->flows->lost_reason = reason;
    close(flow->socket);
}

static void mark(struct flow *flow)
{
    if (flow->marked)
        return;
    flow->marked = true;
    flow->next_marked = NULL;
    *flow->flows->last_marked = flow;
    flow->flows->last_marked = &flow->next_marked;
}

void flow_send(struct flow *flow, const char *bytes, size_t count)
{
    if (flow->closed)
        return;
    if (flow->flows->options->tcp) {
        buffer_append(&flow->output, bytes, count);
        mark(flow);
    } else if (send(flow->socket, bytes, count, 0) < 0) {
        flow->flows->unsent++; /* the kernel also tells here what became of an earlier one */
    }
}

static void flush(struct flow *flow)
{
    while (!flow->closed && buffer_length(&flow->output)) {
        ssize_t sent = send(flow->socket, buffer_front(&flow->output), buffer_length(&flow->output), 0);
        if (sent < 0 && errno == EAGAIN)
            break;
        if (sent < 0)
            lost(flow, "closed by the server while writing");
        else
            buffer_remove(&flow->output, (size_t)sent);
    }
    bool waits = !flow->closed && buffer_length(&flow->output);
    if (waits != flow->waits_for_room && !flow->closed)
        watch(flow, EPOLL_CTL_MOD, waits);
}

void flows_flush(struct flows *flows)
{
    struct flow *flow = flows->marked;
    flows->marked = NULL;
    flows->last_marked = &flows->marked;
    for (struct flow *next; flow; flow = next) {
        next = flow->next_marked;
        flow->marked = false;
        if (!flow->waits_for_room)
            flush(flow);
    }
}

static void handle_datagram(struct flow *flow, const char *bytes, size_t length)
{
    struct sip_message message;
    size_t used;
    if (sip_read(bytes, length, true, &message, &used) == SIP_COMPLETE)
        flow->flows->received(flow, &message, flow->flows->context);
}

static void read_datagrams(struct flow *flow)
{
    static char bytes[DATAGRAMS_PER_READ][LONGEST_DATAGRAM];
    static struct iovec vectors[DATAGRAMS_PER_READ];
    static struct mmsghdr datagrams[DATAGRAMS_PER_READ];
    int count;
    for (int i = 0; i < DATAGRAMS_PER_READ && !datagrams[i].msg_hdr.msg_iov; i++) {
        vectors[i] = (struct iovec){bytes[i], LONGEST_DATAGRAM};
        datagrams[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
    }
    do {
        count = recvmmsg(flow->socket, datagrams, DATAGRAMS_PER_READ, MSG_DONTWAIT, NULL);
        for (int i = 0; i < count; i++)
            handle_datagram(flow, bytes[i], datagrams[i].msg_len);
    } while (count == DATAGRAMS_PER_READ);
}

static void handle_stream(struct flow *flow)
{
    struct sip_message message;
    size_t used;
    while (!flow->closed && buffer_length(&flow->input)) {
        switch (sip_read(buffer_front(&flow->input), buffer_length(&flow->input), false, &message, &used)) {
        case SIP_INCOMPLETE: return;
        case SIP_COMPLETE: flow->flows->received(flow, &message, flow->flows->context); break;
        case SIP_KEEP_ALIVE: break;
        case SIP_BAD: lost(flow, "the server sent something that is not SIP"); return;
        }
        buffer_remove(&flow->input, used);
    }
}

static void read_stream(struct flow *flow)
{
    for (int reads = 0; !flow->closed && reads < READS_PER_TURN; reads++) {
        ssize_t received = recv(flow->socket, buffer_reserve(&flow->input, READ_SIZE), READ_SIZE, 0);
        if (received < 0 && errno == EAGAIN)
            return;
        if (received <= 0) {
            lost(flow, "closed by the server");
            return;
        }
        buffer_added(&flow->input, (size_t)received);
        handle_stream(flow);
        if (received < READ_SIZE)
            return;
    }
}

static void on_event(struct flow *flow, uint32_t events)
{
    if (flow->closed)
        return;
    if (!flow->flows->options->tcp) {
        read_datagrams(flow);
        return;
    }
    if (events & EPOLLOUT)
        flush(flow);
    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
        read_stream(flow);
}

void flows_turn(struct flows *flows, int milliseconds)
{
    struct epoll_event events[EVENTS_PER_TURN];
    if (flows->options->gather > 0)
        usleep((useconds_t)(flows->options->gather * 1e6));
    int count = epoll_wait(flows->epoll, events, EVENTS_PER_TURN, milliseconds);
    flows->now = now_ns();
    for (int i = 0; i < count; i++)
        on_event(events[i].data.ptr, events[i].events);
}
