/* Memory and CPU that the relay spends on connections that authenticated and then do nothing. */
#define _GNU_SOURCE
#include "clients.h"
#include "modes.h"
#include "process_tree.h"
#include "report.h"

#define SECOND 1000000000ull
#define LONGEST_SETUP (60 * SECOND)
#define SETTLING (2 * SECOND)

static void connect_all(struct clients *clients, const struct options *options)
{
    struct client *all = allocate_zeroed((size_t)options->connections, sizeof *all);
    uint64_t deadline = now_ns() + LONGEST_SETUP;
    int started = 0;
    while (clients->ready < (uint64_t)options->connections && !clients->failed && now_ns() < deadline) {
        while (started < options->connections && clients->under_way < (uint64_t)options->concurrency) {
            all[started].session.index = started;
            client_start(clients, &all[started++]);
        }
        loop_turn(&clients->loop, 50);
    }
}

static void settle(struct clients *clients)
{
    for (uint64_t end = now_ns() + SETTLING; now_ns() < end;)
        loop_turn(&clients->loop, 100);
}

int run_idle(const struct options *options)
{
    struct clients clients = {0};
    struct process_tree relay;
    char text[128];
    process_tree_find(&relay, options->trees, options->tree_count);
    loop_init(&clients.loop, options);
    long memory = process_tree_memory(&relay);
    double cpu = process_tree_cpu(&relay);
    connect_all(&clients, options);
    cpu = process_tree_cpu(&relay) - cpu;
    settle(&clients);
    double connections = clients.ready ? (double)clients.ready : 1;
    const char *error = clients_error(&clients, text, sizeof text);
    if (!error && clients.ready < (uint64_t)options->connections)
        error = "not all connections were set up in time";
    report_begin();
    report_text("mode", "idle");
    report_text("error", error);
    report_number("tls", options->tls);
    report_number("authenticated", options->authenticate);
    report_number("connections", (double)clients.ready);
    report_number("kib_per_connection", (double)(process_tree_memory(&relay) - memory) / connections);
    report_number("cpu_us", cpu * 1e6 / connections);
    report_end();
    return error ? 1 : 0;
}
