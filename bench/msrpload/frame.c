#define _GNU_SOURCE
#include "frame.h"

#include <string.h>

#define MAX_HEAD 16384
#define HYPHENS "-------"
#define FLAG_AND_CRLF 3

struct line {
    const char *text;
    size_t length; /* without CRLF */
    const char *next;
};

static bool next_line(const char *position, const char *end, struct line *line)
{
    const char *newline = memchr(position, '\n', (size_t)(end - position));
    if (!newline || newline == position)
        return false;
    line->text = position;
    line->length = (size_t)(newline - position) - (newline[-1] == '\r');
    line->next = newline + 1;
    return true;
}

static bool starts_with(const struct line *line, const char *text, size_t length)
{
    return line->length >= length && memcmp(line->text, text, length) == 0;
}

static enum frame_method method_of(const char *name, size_t length)
{
    if (length == 4 && !memcmp(name, "SEND", 4))
        return METHOD_SEND;
    if (length == 6 && !memcmp(name, "REPORT", 6))
        return METHOD_REPORT;
    return METHOD_OTHER;
}

/* "MSRP" SP transact-id SP (method / status-code [SP comment]) */
static bool parse_start_line(const struct line *line, struct frame_head *head)
{
    if (!starts_with(line, "MSRP ", 5))
        return false;
    const char *id = line->text + 5, *end = line->text + line->length;
    const char *space = memchr(id, ' ', (size_t)(end - id));
    if (!space || space - id > MAX_TRANSACTION_ID || end - space < 4)
        return false;
    head->transaction_id = (struct slice){id, (size_t)(space - id)};
    const char *word = space + 1;
    if (*word >= '0' && *word <= '9') {
        head->method = METHOD_RESPONSE;
        head->status = (word[0] - '0') * 100 + (word[1] - '0') * 10 + (word[2] - '0');
    } else {
        head->method = method_of(word, (size_t)(end - word));
    }
    return true;
}

static bool field_value(const struct line *line, const char *name, size_t length, struct slice *value)
{
    if (!starts_with(line, name, length))
        return false;
    const char *start = line->text + length, *end = line->text + line->length;
    while (start < end && *start == ' ')
        start++;
    *value = (struct slice){start, (size_t)(end - start)};
    return true;
}

#define FIELD(line, name, value) field_value(line, name ":", sizeof name, value)

static void parse_field(const struct line *line, struct frame_head *head)
{
    struct slice challenge;
    if (FIELD(line, "From-Path", &head->from_path) || FIELD(line, "Byte-Range", &head->byte_range)
        || FIELD(line, "Use-Path", &head->use_path))
        return;
    if (head->challenge_count < MAX_CHALLENGES && FIELD(line, "WWW-Authenticate", &challenge))
        head->challenges[head->challenge_count++] = challenge;
}

/* Length by a Byte-Range such as 1-1024/1024; 0 when its end is open ("*"). */
static uint64_t promised_length(struct slice range)
{
    uint64_t numbers[2] = {0, 0};
    size_t which = 0;
    for (size_t i = 0; i < range.length && range.data[i] != '/'; i++) {
        char c = range.data[i];
        if (c == '-' && which == 0)
            which = 1;
        else if (c >= '0' && c <= '9')
            numbers[which] = numbers[which] * 10 + (uint64_t)(c - '0');
        else
            return 0;
    }
    return numbers[1] >= numbers[0] && which ? numbers[1] - numbers[0] + 1 : 0;
}

static void enter_frame(struct frame_parser *parser, const struct frame_head *head)
{
    const struct slice *id = &head->transaction_id;
    memcpy(parser->end_line, "\r\n" HYPHENS, 9);
    memcpy(parser->end_line + 9, id->data, id->length);
    parser->end_line_length = 9 + id->length;
    parser->inside = true;
    parser->has_body = head->has_body;
    parser->expected = head->has_body && head->byte_range.length ? promised_length(head->byte_range) : 0;
}

static enum frame_step next_head(struct frame_parser *parser, const char *bytes, size_t count,
                                 struct frame_head *head, size_t *used)
{
    const char *end = bytes + count;
    enum frame_step short_of_bytes = count > MAX_HEAD ? FRAME_BAD : FRAME_INCOMPLETE;
    struct line line;
    memset(head, 0, sizeof *head);
    if (!next_line(bytes, end, &line))
        return short_of_bytes;
    if (!parse_start_line(&line, head))
        return FRAME_BAD;
    for (;;) {
        const char *position = line.next;
        if (!next_line(position, end, &line))
            return short_of_bytes;
        if (starts_with(&line, HYPHENS, 7)) {
            *used = (size_t)(position - bytes);
            break;
        }
        if (line.length == 0) {
            head->has_body = true;
            *used = (size_t)(line.next - bytes);
            break;
        }
        parse_field(&line, head);
    }
    enter_frame(parser, head);
    return FRAME_HEAD;
}

static bool is_flag_and_crlf(const char *text)
{
    return (text[0] == '$' || text[0] == '+' || text[0] == '#') && text[1] == '\r' && text[2] == '\n';
}

/* The end-line of a frame without body: no CRLF of its own before it. */
static enum frame_step end_of_bodiless(struct frame_parser *parser, const char *bytes, size_t count, size_t *used)
{
    size_t length = parser->end_line_length - 2;
    if (count < length + FLAG_AND_CRLF)
        return FRAME_INCOMPLETE;
    if (memcmp(bytes, parser->end_line + 2, length) || !is_flag_and_crlf(bytes + length))
        return FRAME_BAD;
    parser->flag = bytes[length];
    parser->inside = false;
    *used = length + FLAG_AND_CRLF;
    return FRAME_END;
}

static const char *find_end_line(const struct frame_parser *parser, const char *bytes, size_t count)
{
    uint64_t expected = parser->expected;
    if (expected && count >= parser->end_line_length && expected <= count - parser->end_line_length
        && !memcmp(bytes + expected, parser->end_line, parser->end_line_length))
        return bytes + expected;
    return memmem(bytes, count, parser->end_line, parser->end_line_length);
}

static enum frame_step body_until(struct frame_parser *parser, const char *bytes, size_t length, size_t *used)
{
    if (length == 0)
        return FRAME_INCOMPLETE;
    parser->body = (struct slice){bytes, length};
    parser->expected = parser->expected > length ? parser->expected - length : 0;
    *used = length;
    return FRAME_BODY;
}

static enum frame_step next_of_body(struct frame_parser *parser, const char *bytes, size_t count, size_t *used)
{
    size_t end_line = parser->end_line_length;
    const char *found = find_end_line(parser, bytes, count);
    if (!found)
        return body_until(parser, bytes, count < end_line ? 0 : count - end_line + 1, used);
    size_t before = (size_t)(found - bytes);
    if (before)
        return body_until(parser, bytes, before, used);
    if (count < end_line + FLAG_AND_CRLF)
        return FRAME_INCOMPLETE;
    if (!is_flag_and_crlf(found + end_line))
        return body_until(parser, bytes, 1, used);
    parser->flag = found[end_line];
    parser->inside = false;
    *used = end_line + FLAG_AND_CRLF;
    return FRAME_END;
}

enum frame_step frame_next(struct frame_parser *parser, const char *bytes, size_t count,
                           struct frame_head *head, size_t *used)
{
    if (!parser->inside)
        return count ? next_head(parser, bytes, count, head, used) : FRAME_INCOMPLETE;
    if (!parser->has_body)
        return end_of_bodiless(parser, bytes, count, used);
    return next_of_body(parser, bytes, count, used);
}
