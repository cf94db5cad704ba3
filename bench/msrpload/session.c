#define _GNU_SOURCE
#include "session.h"

#include <stdio.h>
#include <string.h>

#include "digest.h"

#define MAX_AUTHORIZATION 2048
#define AUTH_ID_LENGTH 10

void session_init(struct session *session, struct connection *connection, int index)
{
    *session = (struct session){.connection = connection, .index = index};
    snprintf(session->uri, sizeof session->uri, "%s://%s/s%06d;tcp", connection->loop->options->tls ? "msrps" : "msrp",
             connection->address, index);
}

static void transaction_id(const struct session *session, char id[AUTH_ID_LENGTH + 1])
{
    snprintf(id, AUTH_ID_LENGTH + 1, "au%d.%06u", session->state == SESSION_NEW ? 1 : 2, (unsigned)session->index % 1000000u);
}

static void send_auth(struct session *session, const char *authorization)
{
    char uri[MAX_URI], id[AUTH_ID_LENGTH + 1], request[4096];
    options_relay_uri(session->connection->loop->options, uri, sizeof uri);
    transaction_id(session, id);
    int length = snprintf(request, sizeof request,
                          "MSRP %s AUTH\r\nTo-Path: %s\r\nFrom-Path: %s\r\n%s%s%s-------%s$\r\n", id, uri, session->uri,
                          authorization ? "Authorization: " : "", authorization ? authorization : "",
                          authorization ? "\r\n" : "", id);
    connection_send(session->connection, request, (size_t)length);
}

void session_authenticate(struct session *session)
{
    send_auth(session, NULL);
    session->state = SESSION_ASKED;
}

static void refused(struct session *session, int status)
{
    session->state = SESSION_REFUSED;
    session->status = status;
}

static void answer_challenge(struct session *session, const struct frame_head *head)
{
    const struct options *options = session->connection->loop->options;
    char uri[MAX_URI], username[MAX_URI], authorization[MAX_AUTHORIZATION];
    options_relay_uri(options, uri, sizeof uri);
    options_username(options, session->index, username, sizeof username);
    struct digest_user user = {
        .username = username, .password = options->password, .method = "AUTH", .uri = uri,
        .send_uri = options->digest_uri, .algorithm = "MD5", .nonce_count = 1,
    };
    if (!digest_authorization(&user, head->challenges, head->challenge_count, authorization, sizeof authorization)) {
        refused(session, head->status);
        return;
    }
    send_auth(session, authorization);
    session->state = SESSION_ANSWERED_CHALLENGE;
}

static bool is_mine(const struct session *session, struct slice id)
{
    char digits[7];
    snprintf(digits, sizeof digits, "%06u", (unsigned)session->index % 1000000u);
    return id.length == AUTH_ID_LENGTH && !memcmp(id.data, "au", 2) && !memcmp(id.data + 4, digits, 6);
}

bool session_response(struct session *session, const struct frame_head *head)
{
    bool waiting = session->state == SESSION_ASKED || session->state == SESSION_ANSWERED_CHALLENGE;
    if (!waiting || !is_mine(session, head->transaction_id))
        return false;
    if (head->status == 200 && head->use_path.length && head->use_path.length < MAX_PATH) {
        memcpy(session->use_path, head->use_path.data, head->use_path.length);
        session->state = SESSION_GRANTED;
    } else if (head->status == 401 && session->state == SESSION_ASKED) {
        answer_challenge(session, head);
    } else {
        refused(session, head->status);
    }
    return true;
}

/* RFC 4975 section 7.2: the response goes to the leftmost URI of From-Path only. */
void answer_prepare(struct answer *answer, const struct frame_head *request, const char *own_uri)
{
    const struct slice *id = &request->transaction_id, *path = &request->from_path;
    const char *space = path->length ? memchr(path->data, ' ', path->length) : NULL;
    int path_length = (int)(space ? (size_t)(space - path->data) : path->length);
    int length = snprintf(answer->text, sizeof answer->text,
                          "MSRP %.*s 200 OK\r\nTo-Path: %.*s\r\nFrom-Path: %s\r\n-------%.*s$\r\n", (int)id->length,
                          id->data, path_length, path->data, own_uri, (int)id->length, id->data);
    answer->length = (size_t)length < sizeof answer->text ? (size_t)length : 0;
}

void answer_send(struct answer *answer, struct connection *connection)
{
    if (answer->length)
        connection_send(connection, answer->text, answer->length);
    answer->length = 0;
}
