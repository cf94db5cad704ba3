/* A user: one address of record, one binding, one flow. */
#ifndef USER_H
#define USER_H

#include "call.h"
#include "flow.h"

enum user_state {
    USER_NEW, USER_REGISTERING, USER_ANSWERED_CHALLENGE, USER_REGISTERED, USER_REFUSED, USER_GONE
};

/* A MESSAGE with the places where its number stands. */
struct template {
    char *text;
    size_t length, branch_at, call_id_at, body_at;
};

struct user {
    int index;
    struct flow *flow;
    struct user *partner;        /* whom its messages go to; NULL: it only receives */
    enum user_state state;
    int status;                  /* why it was refused; 0: by silence */
    unsigned cseq, nonce_count;  /* of REGISTER */
    bool leaving;                /* its REGISTERs remove the binding */
    uint64_t began;              /* when the first REGISTER of this round was sent */
    char *challenge;             /* the last one, for --reuse-nonce */
    char *request;               /* the REGISTER under way */
    size_t request_length;
    int outstanding;             /* MESSAGEs without a final response */
    struct template message;
};

/* Its name at the server, and that of its address of record. */
void user_name(const struct options *options, int index, char *name, size_t size);

/* Write the REGISTER of that number into the user; `authorization` may be NULL. */
void user_write_register(struct user *user, const struct options *options, uint64_t number, const char *authorization);

/* Prepare what is the same in all its messages. */
void user_prepare_message(struct user *user, const struct options *options);

/* The MESSAGE of that number: `user->message.text`, always the same bytes for a number. */
void user_number_message(struct user *user, uint64_t number);

/* Whether a body is that of the user's message of that number. */
bool user_body_is(const struct user *user, uint64_t number, struct slice body);

#endif
