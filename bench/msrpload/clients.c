#include "clients.h"

#include <stdio.h>

static void ready(struct client *client)
{
    client->clients->ready++;
    client->clients->under_way--;
    if (client->clients->granted)
        client->clients->granted(client);
}

static void on_opened(struct connection *connection)
{
    struct client *client = connection->owner;
    session_init(&client->session, connection, client->session.index);
    if (connection->loop->options->authenticate)
        session_authenticate(&client->session);
    else
        ready(client);
}

static void on_head(struct connection *connection, const struct frame_head *head)
{
    struct client *client = connection->owner;
    if (!session_response(&client->session, head))
        return;
    if (client->session.state == SESSION_GRANTED) {
        ready(client);
    } else if (client->session.state == SESSION_REFUSED) {
        client->clients->failed++;
        client->clients->first_bad_status = client->session.status;
    }
}

static void on_body(struct connection *connection, const char *bytes, size_t count)
{
    (void)connection, (void)bytes, (void)count;
}

static void on_end(struct connection *connection, char flag)
{
    (void)connection, (void)flag;
}

static void on_closed(struct connection *connection, const char *reason)
{
    struct client *client = connection->owner;
    client->clients->failed++;
    client->clients->lost_reason = reason;
    client->session.connection = NULL;
}

void client_start(struct clients *clients, struct client *client)
{
    static const struct connection_handlers handlers = {
        .opened = on_opened, .head = on_head, .body = on_body, .end = on_end, .closed = on_closed,
    };
    client->clients = clients;
    clients->under_way++;
    client->session.connection = connection_open(&clients->loop, &handlers, client);
}

const char *clients_error(const struct clients *clients, char *text, size_t size)
{
    if (clients->first_bad_status)
        snprintf(text, size, "status %d", clients->first_bad_status);
    else if (clients->lost_reason)
        snprintf(text, size, "%s", clients->lost_reason);
    else
        return NULL;
    return text;
}
