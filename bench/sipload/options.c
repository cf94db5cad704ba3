#define _GNU_SOURCE
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_DRAIN 33.0 /* longer than timer F */
#define OVERLOAD_DRAIN 2.0

static const char USAGE[] =
    "sipload: load on a SIP registrar and proxy (RFC 3261, 3428); one JSON object on standard output\n"
    "\n"
    "  --mode message       registered pairs send MESSAGE: CPU per message, throughput, latency (default)\n"
    "  --mode register      users register again and again: registrations per second, CPU of each\n"
    "  --mode hold          users register and stay: memory of a registration\n"
    "  --mode transactions  so many messages as fast as they go: memory of a finished transaction\n"
    "  --mode overload      messages at a rate, answered or not, then at a lower one: what was answered each second\n"
    "\n"
    "  --port N [--host 127.0.0.1] [--tcp] [--domain NAME]\n"
    "  --user NAME --password TEXT --algorithm MD5|SHA-256   users are NAME1, NAME2, ...; digest of REGISTER\n"
    "  --reuse-nonce            send credentials at once, with the last nonce and the next nc\n"
    "  --source-addresses N     send from 127.0.0.1 to 127.0.0.N in turn\n"
    "  --users-per-socket N     users that share a UDP port or a TCP connection (default 1)\n"
    "  --tree PID               server whose CPU and memory are read, with its children; several add up\n"
    "  --cpu N                  CPU the generator stays on\n"
    "  --gather S               seconds between two looks at the sockets: one wake-up serves several (default 0)\n"
    "  --t1 S                   T1; over UDP requests are sent again after T1, 2*T1, ... (default 0.5)\n"
    "  --retransmit | --no-retransmit   (default: no only in overload)\n"
    "  --concurrency N          registrations under way at once\n"
    "  --duration S --warm-up S   measured time and time before it (message, register, overload)\n"
    "  --drain S                what is under way at the end is awaited so long (default 33, overload 2)\n"
    "  --pairs N --both-ways --window N --rate N --size BYTES     (message, overload)\n"
    "  --messages N                                               (transactions)\n"
    "  --users N                                                  (register, hold)\n"
    "  --hold S                                                   (hold)\n"
    "  --recovery-rate N --recovery S                             (overload)\n";

enum option_id {
    OPT_MODE = 256, OPT_HOST, OPT_PORT, OPT_TCP, OPT_DOMAIN, OPT_USER, OPT_PASSWORD, OPT_ALGORITHM, OPT_REUSE,
    OPT_SOURCES, OPT_PER_SOCKET, OPT_TREE, OPT_CPU, OPT_T1, OPT_RETRANSMIT, OPT_NO_RETRANSMIT, OPT_CONCURRENCY,
    OPT_DURATION, OPT_WARM_UP, OPT_DRAIN, OPT_GATHER, OPT_PAIRS, OPT_BOTH_WAYS, OPT_WINDOW, OPT_RATE, OPT_SIZE,
    OPT_MESSAGES, OPT_USERS, OPT_HOLD, OPT_RECOVERY_RATE, OPT_RECOVERY, OPT_HELP
};

static const struct option LONG_OPTIONS[] = {
    {"mode", 1, 0, OPT_MODE}, {"host", 1, 0, OPT_HOST}, {"port", 1, 0, OPT_PORT}, {"tcp", 0, 0, OPT_TCP},
    {"domain", 1, 0, OPT_DOMAIN}, {"user", 1, 0, OPT_USER}, {"password", 1, 0, OPT_PASSWORD},
    {"algorithm", 1, 0, OPT_ALGORITHM}, {"reuse-nonce", 0, 0, OPT_REUSE}, {"source-addresses", 1, 0, OPT_SOURCES},
    {"users-per-socket", 1, 0, OPT_PER_SOCKET}, {"tree", 1, 0, OPT_TREE}, {"cpu", 1, 0, OPT_CPU},
    {"gather", 1, 0, OPT_GATHER}, {"t1", 1, 0, OPT_T1}, {"retransmit", 0, 0, OPT_RETRANSMIT},
    {"no-retransmit", 0, 0, OPT_NO_RETRANSMIT}, {"concurrency", 1, 0, OPT_CONCURRENCY},
    {"duration", 1, 0, OPT_DURATION}, {"warm-up", 1, 0, OPT_WARM_UP}, {"drain", 1, 0, OPT_DRAIN},
    {"pairs", 1, 0, OPT_PAIRS}, {"both-ways", 0, 0, OPT_BOTH_WAYS}, {"window", 1, 0, OPT_WINDOW},
    {"rate", 1, 0, OPT_RATE}, {"size", 1, 0, OPT_SIZE}, {"messages", 1, 0, OPT_MESSAGES},
    {"users", 1, 0, OPT_USERS}, {"hold", 1, 0, OPT_HOLD}, {"recovery-rate", 1, 0, OPT_RECOVERY_RATE},
    {"recovery", 1, 0, OPT_RECOVERY}, {"help", 0, 0, OPT_HELP}, {0, 0, 0, 0},
};

static const struct options DEFAULTS = {
    .mode = MODE_MESSAGE, .host = "127.0.0.1", .domain = "wigwag.example", .username = "alice", .password = "secret",
    .source_addresses = 1, .users = 100, .users_per_socket = 1, .concurrency = 32, .cpu = -1, .duration = 1.0,
    .warm_up = 0.5, .drain = -1, .pairs = 1, .window = 1, .size = 100, .messages = 10000, .hold = 2.0,
    .recovery_rate = 100, .recovery = 10.0, .retransmit = true, .t1 = 0.5,
};

static enum mode parse_mode(const char *name)
{
    static const char *const names[] = {"message", "register", "hold", "transactions", "overload"};
    for (int i = 0; i < 5; i++)
        if (!strcmp(name, names[i]))
            return (enum mode)i;
    fail("no mode %s", name);
}

static const char *parse_algorithm(const char *name)
{
    if (strcmp(name, "MD5") != 0 && strcmp(name, "SHA-256") != 0)
        fail("no algorithm %s: MD5 or SHA-256", name);
    return name;
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

static double positive(const char *text)
{
    double value = seconds(text);
    if (value == 0)
        fail("0 where something more is needed");
    return value;
}

static void add_tree(struct options *options, int pid)
{
    if (options->tree_count == MAX_TREES)
        fail("more than %d process trees", MAX_TREES);
    options->trees[options->tree_count++] = pid;
}

static bool apply_to_traffic(struct options *options, int id, const char *value)
{
    switch (id) {
    case OPT_DURATION: options->duration = positive(value); break;
    case OPT_WARM_UP: options->warm_up = seconds(value); break;
    case OPT_DRAIN: options->drain = seconds(value); break;
    case OPT_GATHER: options->gather = seconds(value); break;
    case OPT_PAIRS: options->pairs = (int)number(value, 1); break;
    case OPT_BOTH_WAYS: options->both_ways = true; break;
    case OPT_WINDOW: options->window = (int)number(value, 0); break;
    case OPT_RATE: options->rate = positive(value); break;
    case OPT_SIZE: options->size = number(value, 16); break;
    case OPT_MESSAGES: options->messages = number(value, 1); break;
    case OPT_HOLD: options->hold = seconds(value); break;
    case OPT_RECOVERY_RATE: options->recovery_rate = positive(value); break;
    case OPT_RECOVERY: options->recovery = seconds(value); break;
    case OPT_RETRANSMIT: options->retransmit = true; break;
    case OPT_NO_RETRANSMIT: options->retransmit = false; break;
    case OPT_T1: options->t1 = positive(value); break;
    default: return false;
    }
    return true;
}

static void apply(struct options *options, int id, const char *value)
{
    switch (id) {
    case OPT_MODE: options->mode = parse_mode(value); break;
    case OPT_HOST: options->host = value; break;
    case OPT_PORT: options->port = (int)number(value, 1); break;
    case OPT_TCP: options->tcp = true; break;
    case OPT_DOMAIN: options->domain = value; break;
    case OPT_USER: options->username = value; break;
    case OPT_PASSWORD: options->password = value; break;
    case OPT_ALGORITHM: options->algorithm = parse_algorithm(value); break;
    case OPT_REUSE: options->reuse_nonce = true; break;
    case OPT_SOURCES: options->source_addresses = (int)number(value, 1); break;
    case OPT_PER_SOCKET: options->users_per_socket = (int)number(value, 1); break;
    case OPT_USERS: options->users = (int)number(value, 1); break;
    case OPT_CONCURRENCY: options->concurrency = (int)number(value, 1); break;
    case OPT_TREE: add_tree(options, (int)number(value, 1)); break;
    case OPT_CPU: options->cpu = (int)number(value, 0); break;
    default: fputs(USAGE, id == OPT_HELP ? stdout : stderr); exit(id == OPT_HELP ? 0 : 2);
    }
}

/* Options may come in any order: what one changes of another's default is decided when all are known. */
static void complete(struct options *options, bool retransmit_given)
{
    if (!options->port)
        fail("--port is needed (see --help)");
    if (options->drain < 0)
        options->drain = options->mode == MODE_OVERLOAD ? OVERLOAD_DRAIN : MESSAGE_DRAIN;
    if (options->mode == MODE_OVERLOAD) {
        if (options->rate == 0)
            fail("--mode overload needs --rate");
        options->window = 0;
        options->retransmit = options->retransmit && retransmit_given;
    }
    if (options->window == 0 && options->rate == 0)
        fail("--window 0 needs --rate");
}

void options_parse(struct options *options, int count, char **arguments)
{
    bool retransmit_given = false;
    *options = DEFAULTS;
    for (int id; (id = getopt_long(count, arguments, "", LONG_OPTIONS, NULL)) != -1;) {
        retransmit_given |= id == OPT_RETRANSMIT;
        if (!apply_to_traffic(options, id, optarg))
            apply(options, id, optarg);
    }
    complete(options, retransmit_given);
}

int options_users(const struct options *options)
{
    return options->mode == MODE_REGISTER || options->mode == MODE_HOLD ? options->users : 2 * options->pairs;
}
