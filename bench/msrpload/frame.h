/* Pull parser of MSRP frames (RFC 4975 section 9) that hands body bytes over as they come.
 *
 * Each call of frame_next looks at the unread bytes, says what is next and how many bytes that took:
 *
 *     FRAME_HEAD  -> (FRAME_BODY ...)  -> FRAME_END  -> FRAME_HEAD ...
 *
 * Slices point into the caller's bytes and hold until these move.
 */
#ifndef FRAME_H
#define FRAME_H

#include "common.h"

#define MAX_TRANSACTION_ID 32
#define MAX_CHALLENGES 4

enum frame_step { FRAME_INCOMPLETE, FRAME_HEAD, FRAME_BODY, FRAME_END, FRAME_BAD };
enum frame_method { METHOD_RESPONSE, METHOD_SEND, METHOD_REPORT, METHOD_OTHER };

struct frame_head {
    struct slice transaction_id;
    enum frame_method method;
    int status; /* of a response */
    struct slice from_path, use_path, byte_range;
    struct slice challenges[MAX_CHALLENGES];
    int challenge_count;
    bool has_body;
};

struct frame_parser {
    bool inside;                                    /* between head and end-line */
    bool has_body;
    char end_line[2 + 7 + MAX_TRANSACTION_ID];      /* CRLF, hyphens, transaction id */
    size_t end_line_length;
    uint64_t expected;                              /* body bytes that Byte-Range still promises */
    struct slice body;                              /* of FRAME_BODY */
    char flag;                                      /* of FRAME_END */
};

enum frame_step frame_next(struct frame_parser *parser, const char *bytes, size_t count,
                           struct frame_head *head, size_t *used);

#endif
