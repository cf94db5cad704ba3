/* What a client says at a relay: AUTH, and the answers to what it receives. */
#ifndef SESSION_H
#define SESSION_H

#include "connection.h"

enum session_state { SESSION_NEW, SESSION_ASKED, SESSION_ANSWERED_CHALLENGE, SESSION_GRANTED, SESSION_REFUSED };

struct session {
    struct connection *connection;
    enum session_state state;
    int index;               /* tells the sessions of a connection apart, and chooses the user */
    int status;              /* why it was refused */
    char uri[MAX_URI];       /* the client's own */
    char use_path[MAX_PATH]; /* granted by the relay */
};

/* Name the session's own URI; the connection has to be open. */
void session_init(struct session *session, struct connection *connection, int index);

/* Ask the relay for a path (RFC 4976 section 5.1). */
void session_authenticate(struct session *session);

/* Take the response to AUTH; returns false when it belongs to something else. */
bool session_response(struct session *session, const struct frame_head *head);

/* A response of the client itself, built when a request's head was seen, sent at the request's end. */
struct answer {
    char text[2 * MAX_PATH];
    size_t length;
};

void answer_prepare(struct answer *answer, const struct frame_head *request, const char *own_uri);
void answer_send(struct answer *answer, struct connection *connection);

#endif
