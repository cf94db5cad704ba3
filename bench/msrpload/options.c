#define _GNU_SOURCE
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char USAGE[] =
    "msrpload: load on an MSRP relay (RFC 4976); one JSON object on standard output\n"
    "\n"
    "  --mode load     pairs of clients exchange messages: CPU per message, throughput, latency (default)\n"
    "  --mode idle     authenticated connections that do nothing: memory of each\n"
    "  --mode setup    connect, AUTH, AUTH, close, again and again: CPU of each\n"
    "  --mode stream   one long message, and 100-byte messages of another session beside it\n"
    "\n"
    "  --port N [--host 127.0.0.1] [--tls]\n"
    "  --user NAME --password TEXT   (alice, secret)    --users N: NAME1 to NAMEn in turn\n"
    "  --source-addresses N          connect from 127.0.0.1 to 127.0.0.N in turn\n"
    "  --digest-uri                  uri= in Authorization, as Kamailio demands\n"
    "  --tree PID                    relay whose CPU and memory are read, with its children; several add up\n"
    "  --cpu N                       CPU the generator stays on\n"
    "  --duration S --warm-up S      measured time and time before it (load, setup)\n"
    "  --pairs N --window N --size BYTES --sender-port N                (load)\n"
    "  --connections N --no-auth                                        (idle)\n"
    "  --concurrency N                                                  (idle, setup)\n"
    "  --total BYTES --chunk BYTES --reader-rate BYTES/S --probe-interval S --own-probe-connection  (stream)\n";

enum option_id {
    OPT_MODE = 256, OPT_HOST, OPT_PORT, OPT_TLS, OPT_USER, OPT_PASSWORD, OPT_USERS, OPT_SOURCES, OPT_DIGEST_URI,
    OPT_NO_AUTH, OPT_TREE, OPT_CPU, OPT_DURATION, OPT_WARM_UP, OPT_PAIRS, OPT_WINDOW, OPT_SIZE, OPT_CONNECTIONS,
    OPT_CONCURRENCY, OPT_TOTAL, OPT_CHUNK, OPT_READER_RATE, OPT_OWN_PROBE, OPT_PROBE_INTERVAL, OPT_SENDER_PORT,
    OPT_HELP
};

static const struct option LONG_OPTIONS[] = {
    {"mode", 1, 0, OPT_MODE}, {"host", 1, 0, OPT_HOST}, {"port", 1, 0, OPT_PORT}, {"tls", 0, 0, OPT_TLS},
    {"user", 1, 0, OPT_USER}, {"password", 1, 0, OPT_PASSWORD}, {"users", 1, 0, OPT_USERS},
    {"source-addresses", 1, 0, OPT_SOURCES}, {"digest-uri", 0, 0, OPT_DIGEST_URI}, {"no-auth", 0, 0, OPT_NO_AUTH},
    {"tree", 1, 0, OPT_TREE}, {"cpu", 1, 0, OPT_CPU}, {"duration", 1, 0, OPT_DURATION},
    {"warm-up", 1, 0, OPT_WARM_UP}, {"pairs", 1, 0, OPT_PAIRS}, {"window", 1, 0, OPT_WINDOW},
    {"size", 1, 0, OPT_SIZE}, {"connections", 1, 0, OPT_CONNECTIONS}, {"concurrency", 1, 0, OPT_CONCURRENCY},
    {"total", 1, 0, OPT_TOTAL}, {"chunk", 1, 0, OPT_CHUNK}, {"reader-rate", 1, 0, OPT_READER_RATE},
    {"own-probe-connection", 0, 0, OPT_OWN_PROBE}, {"probe-interval", 1, 0, OPT_PROBE_INTERVAL},
    {"sender-port", 1, 0, OPT_SENDER_PORT},
    {"help", 0, 0, OPT_HELP}, {0, 0, 0, 0},
};

static const struct options DEFAULTS = {
    .mode = MODE_LOAD, .host = "127.0.0.1", .username = "alice", .password = "secret", .users = 1,
    .source_addresses = 1, .authenticate = true, .cpu = -1, .duration = 1.0, .warm_up = 0.5, .pairs = 1,
    .window = 1, .size = 1024, .connections = 1000, .concurrency = 32, .total = (uint64_t)1 << 30,
    .probe_interval = 0.01,
};

static enum mode parse_mode(const char *name)
{
    static const char *const names[] = {"load", "idle", "setup", "stream"};
    for (int i = 0; i < 4; i++)
        if (!strcmp(name, names[i]))
            return (enum mode)i;
    fail("no mode %s", name);
}

static uint64_t number(const char *text, uint64_t least)
{
    char *end;
    uint64_t value = strtoull(text, &end, 10);
    if (end == text || *end || value < least)
        fail("%s is not a number of at least %llu", text, (unsigned long long)least);
    return value;
}

static double seconds(const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || value < 0)
        fail("%s is not a number of 0 or more", text);
    return value;
}

static void add_tree(struct options *options, int pid)
{
    if (options->tree_count == MAX_TREES)
        fail("more than %d process trees", MAX_TREES);
    options->trees[options->tree_count++] = pid;
}

static void apply(struct options *options, int id, char *value)
{
    switch (id) {
    case OPT_MODE: options->mode = parse_mode(value); break;
    case OPT_HOST: options->host = value; break;
    case OPT_PORT: options->port = (int)number(value, 1); break;
    case OPT_TLS: options->tls = true; break;
    case OPT_USER: options->username = value; break;
    case OPT_PASSWORD: options->password = value; break;
    case OPT_USERS: options->users = (int)number(value, 1); break;
    case OPT_SOURCES: options->source_addresses = (int)number(value, 1); break;
    case OPT_DIGEST_URI: options->digest_uri = true; break;
    case OPT_NO_AUTH: options->authenticate = false; break;
    case OPT_TREE: add_tree(options, (int)number(value, 1)); break;
    case OPT_SENDER_PORT: options->sender_port = (int)number(value, 1); break;
    case OPT_CPU: options->cpu = (int)number(value, 0); break;
    case OPT_DURATION: options->duration = seconds(value); break;
    case OPT_WARM_UP: options->warm_up = seconds(value); break;
    case OPT_PAIRS: options->pairs = (int)number(value, 1); break;
    case OPT_WINDOW: options->window = (int)number(value, 1); break;
    case OPT_SIZE: options->size = number(value, 64); break;
    case OPT_CONNECTIONS: options->connections = (int)number(value, 1); break;
    case OPT_CONCURRENCY: options->concurrency = (int)number(value, 1); break;
    case OPT_TOTAL: options->total = number(value, 64); break;
    case OPT_CHUNK: options->chunk = number(value, 0); break;
    case OPT_READER_RATE: options->reader_rate = seconds(value); break;
    case OPT_OWN_PROBE: options->own_probe_connection = true; break;
    case OPT_PROBE_INTERVAL: options->probe_interval = seconds(value); break;
    default: fputs(USAGE, id == OPT_HELP ? stdout : stderr); exit(id == OPT_HELP ? 0 : 2);
    }
}

void options_parse(struct options *options, int count, char **arguments)
{
    *options = DEFAULTS;
    for (int id; (id = getopt_long(count, arguments, "", LONG_OPTIONS, NULL)) != -1;)
        apply(options, id, optarg);
    if (!options->port)
        fail("--port is needed (see --help)");
}

void options_relay_uri(const struct options *options, char *uri, size_t size)
{
    snprintf(uri, size, "%s://%s:%d;tcp", options->tls ? "msrps" : "msrp", options->host, options->port);
}

void options_username(const struct options *options, int index, char *name, size_t size)
{
    if (options->users > 1)
        snprintf(name, size, "%s%d", options->username, index % options->users + 1);
    else
        snprintf(name, size, "%s", options->username);
}
