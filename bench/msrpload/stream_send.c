#include "stream.h"

#include <stdio.h>

#define PROBE_SIZE 100
#define PIECE 65536 /* of the long message, put into the output at once */
#define OUTPUT_LIMIT 262144

static size_t write_head(const struct flow *flow, char *text, size_t size, uint64_t number, const char *range)
{
    const char kind = flow->role == LONG_MESSAGE ? 'l' : 's';
    return (size_t)snprintf(text, size,
                            "MSRP %c%015llx SEND\r\nTo-Path: %s %s\r\nFrom-Path: %s\r\nMessage-ID: %c%llx\r\n"
                            "Byte-Range: %s\r\nContent-Type: text/plain\r\n\r\n",
                            kind, (unsigned long long)number, flow->receiver.use_path, flow->receiver.uri,
                            flow->sender.uri, kind, (unsigned long long)(kind == 'l' ? 1 : number), range);
}

static size_t write_end(const struct flow *flow, char *text, size_t size, uint64_t number, char flag)
{
    const char kind = flow->role == LONG_MESSAGE ? 'l' : 's';
    return (size_t)snprintf(text, size, "\r\n-------%c%015llx%c\r\n", kind, (unsigned long long)number, flag);
}

void stream_send_probe(struct stream *stream, uint64_t due)
{
    struct flow *flow = &stream->probe;
    struct unit unit = {.sent_at = due, .length = PROBE_SIZE, .sequence = (uint32_t)flow->sent};
    char text[3 * MAX_PATH], range[32];
    snprintf(range, sizeof range, "1-%d/%d", PROBE_SIZE, PROBE_SIZE);
    size_t length = write_head(flow, text, sizeof text, flow->sent, range);
    payload_write(&unit, 0, text + length, PROBE_SIZE);
    length += PROBE_SIZE;
    length += write_end(flow, text + length, sizeof text - length, flow->sent, '$');
    connection_send(flow->sender.connection, text, length);
    flow->sent++;
}

static void open_chunk(struct stream *stream)
{
    struct flow *flow = &stream->long_message;
    uint64_t chunk = stream->loop.options->chunk, left = stream->content.length - flow->sent;
    unsigned long long first = flow->sent + 1, total = stream->content.length;
    char range[96], text[3 * MAX_PATH];
    stream->chunk_left = chunk && chunk < left ? chunk : left;
    if (chunk)
        snprintf(range, sizeof range, "%llu-%llu/%llu", first, first + stream->chunk_left - 1, total);
    else
        snprintf(range, sizeof range, "1-*/*");
    size_t length = write_head(flow, text, sizeof text, stream->chunks, range);
    connection_send(flow->sender.connection, text, length);
    stream->chunk_open = true;
}

static void close_chunk(struct stream *stream)
{
    struct flow *flow = &stream->long_message;
    char text[64];
    char flag = flow->sent == stream->content.length ? '$' : '+';
    size_t length = write_end(flow, text, sizeof text, stream->chunks++, flag);
    connection_send(flow->sender.connection, text, length);
    stream->chunk_open = false;
}

void stream_send_more(struct stream *stream)
{
    struct flow *flow = &stream->long_message;
    struct connection *connection = flow->sender.connection;
    while (stream->sending && flow->sent < stream->content.length
           && buffer_length(&connection->output) < OUTPUT_LIMIT) {
        if (!stream->chunk_open)
            open_chunk(stream);
        size_t piece = stream->chunk_left < PIECE ? (size_t)stream->chunk_left : PIECE;
        payload_write(&stream->content, flow->sent, connection_room(connection, piece), piece);
        connection_sent(connection, piece);
        flow->sent += piece;
        stream->chunk_left -= piece;
        if (stream->chunk_left == 0)
            close_chunk(stream);
    }
}
