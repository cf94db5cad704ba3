/* The client's side of Digest in AUTH (RFC 4976 section 9.1), with MD5 and qop=auth. */
#ifndef DIGEST_H
#define DIGEST_H

#include "common.h"
#include "frame.h"

struct digest_user {
    const char *username, *password;
    const char *relay_uri;  /* rightmost URI of To-Path: part of the response even when not sent */
    bool send_uri;          /* Kamailio demands uri=, the RFC's grammar does not have it */
};

/* Write the value of Authorization for the first challenge that offers MD5; false when none does. */
bool digest_authorization(const struct digest_user *user, const struct frame_head *challenged,
                          char *value, size_t size);

#endif
