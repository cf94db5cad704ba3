#define _GNU_SOURCE
#include "sip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static struct slice trimmed(const char *begin, const char *end)
{
    while (begin < end && (*begin == ' ' || *begin == '\t'))
        begin++;
    while (end > begin && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    return (struct slice){begin, (size_t)(end - begin)};
}

static bool is_named(struct slice name, const char *full, char compact)
{
    if (name.length == 1)
        return (name.data[0] | 0x20) == compact;
    return name.length == strlen(full) && !strncasecmp(name.data, full, name.length);
}

struct fields {
    struct sip_message *message;
    long content_length; /* negative: not there */
};

/* The first octet rules out nearly every name that is not wanted. */
static void take_field(struct fields *fields, struct slice name, struct slice value)
{
    struct sip_message *message = fields->message;
    switch (name.length ? name.data[0] | 0x20 : 0) {
    case 'v':
        if (is_named(name, "Via", 'v') && message->via_count < MAX_VIAS)
            message->vias[message->via_count++] = value;
        break;
    case 'f':
        if (is_named(name, "From", 'f'))
            message->from = value;
        break;
    case 't':
        if (is_named(name, "To", 't'))
            message->to = value;
        break;
    case 'i': case 'c':
        if (is_named(name, "Call-ID", 'i'))
            message->call_id = value;
        else if (is_named(name, "CSeq", 0))
            message->cseq = value;
        else if (is_named(name, "Content-Length", 'l'))
            fields->content_length = strtol(value.data, NULL, 10);
        break;
    case 'l':
        if (is_named(name, "Content-Length", 'l'))
            fields->content_length = strtol(value.data, NULL, 10);
        break;
    case 'w':
        if (is_named(name, "WWW-Authenticate", 0) && message->challenge_count < MAX_CHALLENGES)
            message->challenges[message->challenge_count++] = value;
        break;
    }
}

static bool take_first_line(struct sip_message *message, const char *line, const char *end)
{
    static const char version[] = "SIP/2.0 ";
    if (end - line > 12 && !memcmp(line, version, sizeof version - 1)) {
        message->status = (int)strtol(line + sizeof version - 1, NULL, 10);
        return message->status >= 100 && message->status <= 699;
    }
    const char *space = memchr(line, ' ', (size_t)(end - line));
    if (!space || end - line < 8 || memcmp(end - 7, "SIP/2.0", 7) != 0)
        return false;
    message->method = (struct slice){line, (size_t)(space - line)};
    return true;
}

static struct slice branch_of(struct slice via)
{
    static const char name[] = "branch=";
    const char *found = memmem(via.data, via.length, name, sizeof name - 1), *end = via.data + via.length;
    if (!found)
        return (struct slice){NULL, 0};
    const char *begin = found + sizeof name - 1, *p = begin;
    while (p < end && *p != ';' && *p != ',' && *p != ' ')
        p++;
    return (struct slice){begin, (size_t)(p - begin)};
}

static bool read_head(struct fields *fields, const char *bytes, const char *end)
{
    struct sip_message *message = fields->message;
    const char *eol = memchr(bytes, '\n', (size_t)(end - bytes));
    if (!take_first_line(message, bytes, eol - 1))
        return false;
    for (const char *line = eol + 1; line < end; line = eol + 1) {
        eol = memchr(line, '\n', (size_t)(end - line));
        const char *colon = memchr(line, ':', (size_t)(eol - line));
        if (!colon)
            continue;
        take_field(fields, trimmed(line, colon), trimmed(colon + 1, eol[-1] == '\r' ? eol - 1 : eol));
    }
    if (!message->via_count || !message->call_id.length || !message->cseq.length)
        return false;
    message->branch = branch_of(message->vias[0]);
    return true;
}

enum sip_result sip_read(const char *bytes, size_t length, bool datagram, struct sip_message *message, size_t *used)
{
    struct fields fields = {message, -1};
    *used = length;
    if (length >= 2 && bytes[0] == '\r' && bytes[1] == '\n') {
        *used = 2;
        return SIP_KEEP_ALIVE;
    }
    const char *blank = memmem(bytes, length, "\r\n\r\n", 4);
    if (!blank)
        return datagram ? SIP_BAD : SIP_INCOMPLETE;
    *message = (struct sip_message){.head = {bytes, (size_t)(blank + 2 - bytes)}};
    if (!read_head(&fields, bytes, blank + 2))
        return SIP_BAD;
    size_t head = message->head.length + 2, rest = length - head;
    if (fields.content_length < 0 && !datagram)
        return SIP_BAD; /* RFC 3261 section 18.3: a stream has no other end */
    size_t body = fields.content_length < 0 ? rest : (size_t)fields.content_length;
    if (body > rest)
        return datagram ? SIP_BAD : SIP_INCOMPLETE;
    message->body = (struct slice){bytes + head, body};
    *used = head + body;
    return SIP_COMPLETE;
}

struct writer {
    char *position, *end;
    bool full;
};

static void put(struct writer *writer, const char *text, size_t length)
{
    if ((size_t)(writer->end - writer->position) < length) {
        writer->full = true;
        return;
    }
    memcpy(writer->position, text, length);
    writer->position += length;
}

#define PUT(writer, literal) put(writer, literal, sizeof(literal) - 1)

static void put_field(struct writer *writer, const char *name, struct slice value)
{
    put(writer, name, strlen(name));
    put(writer, value.data, value.length);
    PUT(writer, "\r\n");
}

/* The topmost Via with its empty rport filled in; `peer` is "ADDRESS:PORT" that the request came from. */
static void put_top_via(struct writer *writer, struct slice via, const char *peer)
{
    static const char name[] = ";rport";
    const char *found = memmem(via.data, via.length, name, sizeof name - 1), *end = via.data + via.length;
    const char *after = found ? found + sizeof name - 1 : end;
    if (!found || (after < end && *after != ';' && *after != ',')) {
        put_field(writer, "Via: ", via);
        return;
    }
    const char *colon = strrchr(peer, ':');
    PUT(writer, "Via: ");
    put(writer, via.data, (size_t)(after - via.data));
    PUT(writer, "=");
    put(writer, colon + 1, strlen(colon + 1));
    PUT(writer, ";received=");
    put(writer, peer, (size_t)(colon - peer));
    put_field(writer, "", (struct slice){after, (size_t)(end - after)});
}

size_t sip_write_ok(const struct sip_message *request, const char *to_tag, const char *peer, char *text, size_t size)
{
    struct writer writer = {text, text + size, false};
    PUT(&writer, "SIP/2.0 200 OK\r\n");
    put_top_via(&writer, request->vias[0], peer);
    for (int i = 1; i < request->via_count; i++)
        put_field(&writer, "Via: ", request->vias[i]);
    put_field(&writer, "From: ", request->from);
    PUT(&writer, "To: ");
    put(&writer, request->to.data, request->to.length);
    if (!memmem(request->to.data, request->to.length, ";tag=", 5)) {
        PUT(&writer, ";tag=");
        put(&writer, to_tag, strlen(to_tag));
    }
    PUT(&writer, "\r\n");
    put_field(&writer, "Call-ID: ", request->call_id);
    put_field(&writer, "CSeq: ", request->cseq);
    PUT(&writer, "Content-Length: 0\r\n\r\n");
    return writer.full ? 0 : (size_t)(writer.position - text);
}
