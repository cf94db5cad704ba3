/* As much of SIP's grammar (RFC 3261) as a generator needs: what a message is, and where its parts are. */
#ifndef SIP_H
#define SIP_H

#include "common.h"

#define MAX_VIAS 16
#define MAX_CHALLENGES 4
#define BRANCH_COOKIE "z9hG4bK"

struct sip_message {
    int status;                 /* of a response; 0: a request */
    struct slice method;        /* of a request */
    struct slice vias[MAX_VIAS]; /* values, in order */
    int via_count;
    struct slice branch;        /* of the topmost Via */
    struct slice from, to, call_id, cseq;
    struct slice challenges[MAX_CHALLENGES];
    int challenge_count;
    struct slice head;          /* all of it up to the empty line */
    struct slice body;
};

enum sip_result { SIP_INCOMPLETE, SIP_COMPLETE, SIP_KEEP_ALIVE, SIP_BAD };

/* Read one message; of a stream, `used` says how many bytes it took. A datagram ends where it ends. */
enum sip_result sip_read(const char *bytes, size_t length, bool datagram, struct sip_message *message, size_t *used);

/* Write the 200 to a request (RFC 3261 section 8.2.6, rport as RFC 3581 section 4 says); 0 when there is no room. */
size_t sip_write_ok(const struct sip_message *request, const char *to_tag, const char *peer, char *text, size_t size);

#endif
