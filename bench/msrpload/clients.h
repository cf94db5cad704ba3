/* Clients that connect, authenticate and do nothing more. */
#ifndef CLIENTS_H
#define CLIENTS_H

#include "session.h"

struct clients;

struct client {
    struct clients *clients;
    struct session session;
};

struct clients {
    struct loop loop;
    void (*granted)(struct client *client); /* NULL: nothing happens */
    uint64_t ready, under_way, failed;
    int first_bad_status;
    const char *lost_reason;
};

/* Connect a client that is not connected; it authenticates if the options say so. */
void client_start(struct clients *clients, struct client *client);

/* Why clients failed, or NULL. */
const char *clients_error(const struct clients *clients, char *text, size_t size);

#endif
