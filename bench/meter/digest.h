/* The client's side of Digest (RFC 7616 and 8760, qop=auth; in MSRP: RFC 4976 section 9.1). */
#ifndef DIGEST_H
#define DIGEST_H

#include "common.h"

struct digest_user {
    const char *username, *password;
    const char *method;
    const char *uri;        /* part of the response even when not sent */
    bool send_uri;          /* SIP and Kamailio's msrp module demand uri=, RFC 4976's grammar does not have it */
    const char *algorithm;  /* "MD5" or "SHA-256" */
    unsigned nonce_count;   /* how often this nonce is used, this time included */
};

/* Write the value of Authorization for the first challenge of the user's algorithm; false when there is none. */
bool digest_authorization(const struct digest_user *user, const struct slice *challenges, int count,
                          char *value, size_t size);

#endif
