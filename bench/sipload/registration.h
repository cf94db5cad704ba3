/* REGISTER, with digest when the options say so. */
#ifndef REGISTRATION_H
#define REGISTRATION_H

#include "site.h"

/* Send a REGISTER for a user that has none under way. */
void registration_begin(struct site *site, struct user *user);

/* Remove the binding of a registered user. */
void registration_end(struct site *site, struct user *user);

/* Take the final response to a REGISTER; `call` has ended. */
void registration_response(struct site *site, struct call *call, const struct sip_message *response);

void registration_timed_out(struct site *site, struct call *call);

/* Send the REGISTER under way again. */
void registration_repeat(struct call *call);

#endif
