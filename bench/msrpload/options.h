/* What the command line asks for. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "common.h"

#define MAX_TREES 16
#define MAX_URI 256
#define MAX_PATH 2048

enum mode { MODE_LOAD, MODE_IDLE, MODE_SETUP, MODE_STREAM };

struct options {
    enum mode mode;
    const char *host;
    int port;
    int sender_port;           /* load: where senders connect; 0: where receivers do */
    bool tls;
    const char *username, *password;
    int users;                 /* more than 1: username1, username2, ... in turn */
    int source_addresses;      /* connect from 127.0.0.1, 127.0.0.2, ... in turn */
    bool digest_uri;
    bool authenticate;
    int trees[MAX_TREES];      /* process ids of the relay */
    int tree_count;
    int cpu;                   /* to stay on; -1: any */
    double duration, warm_up;  /* seconds */
    int pairs, window;
    uint64_t size;
    int connections;           /* idle */
    int concurrency;           /* set-ups under way at once */
    uint64_t total;            /* stream: bytes of the long message */
    uint64_t chunk;            /* stream: bytes per chunk; 0: a single one, its end open */
    double reader_rate;        /* stream: bytes per second the receiver reads; 0: all it gets */
    bool own_probe_connection; /* stream: the small messages arrive over another connection */
    double probe_interval;     /* stream: seconds between small messages */
};

void options_parse(struct options *options, int count, char **arguments);

/* URI of the relay itself: the To-Path of AUTH. */
void options_relay_uri(const struct options *options, char *uri, size_t size);

/* Name of the user of the index-th session. */
void options_username(const struct options *options, int index, char *name, size_t size);

#endif
