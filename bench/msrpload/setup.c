/* CPU that the relay spends on each session set up: connect, AUTH, AUTH with credentials, close. */
#define _GNU_SOURCE
#include "clients.h"
#include "modes.h"
#include "process_tree.h"
#include "report.h"

static void start_again(struct client *client)
{
    connection_close(client->session.connection);
    client_start(client->clients, client);
}

/* Seconds for which sessions were set up, until the time was over or one failed. */
static double turn_for(struct clients *clients, double seconds)
{
    uint64_t begin = now_ns(), end = begin + (uint64_t)(seconds * 1e9);
    while (now_ns() < end && !clients->failed)
        loop_turn(&clients->loop, 20);
    return (double)(now_ns() - begin) / 1e9;
}

int run_setup(const struct options *options)
{
    struct clients clients = {.granted = start_again};
    struct client *slots = allocate_zeroed((size_t)options->concurrency, sizeof *slots);
    struct process_tree relay;
    char text[128];
    process_tree_find(&relay, options->trees, options->tree_count);
    loop_init(&clients.loop, options);
    for (int i = 0; i < options->concurrency; i++) {
        slots[i].session.index = i;
        client_start(&clients, &slots[i]);
    }
    turn_for(&clients, options->warm_up);
    clients.ready = 0;
    double cpu = process_tree_cpu(&relay);
    double seconds = turn_for(&clients, options->duration);
    cpu = process_tree_cpu(&relay) - cpu;
    const char *error = clients_error(&clients, text, sizeof text);
    report_begin();
    report_text("mode", "setup");
    report_text("error", clients.ready || error ? error : "no session was set up");
    report_number("tls", options->tls);
    report_number("concurrency", options->concurrency);
    report_number("sessions", (double)clients.ready);
    report_number("sessions_per_second", (double)clients.ready / seconds);
    report_number("cpu_us", cpu * 1e6 / (clients.ready ? (double)clients.ready : 1));
    report_end();
    return error ? 1 : 0;
}
