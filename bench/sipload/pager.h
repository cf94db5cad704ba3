/* MESSAGE (RFC 3428): sending them, answering them, and telling what arrived from what did twice. */
#ifndef PAGER_H
#define PAGER_H

#include "site.h"

/* Send the user's next message, which was due at `due`. */
struct call *pager_send(struct site *site, struct user *user, uint64_t due, uint64_t now);

/* Send it again, byte for byte. */
void pager_repeat(struct call *call);

/* Take a request that arrived at a flow, and answer it. */
void pager_request(struct site *site, struct flow *flow, const struct sip_message *request);

#endif
