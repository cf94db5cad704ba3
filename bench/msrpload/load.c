/* Pairs of clients that exchange messages of one size, so many of each pair under way at once. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>

#include "histogram.h"
#include "modes.h"
#include "pair.h"
#include "process_tree.h"
#include "report.h"

#define SECOND 1e9
#define STALL_SECONDS 4.0
#define DRAIN_SECONDS 1.0

struct measurement {
    struct traffic traffic; /* first: handed to arrived() */
    struct process_tree relay;
    bool running;
    uint64_t messages, began, ended;
    double relay_cpu, own_cpu;
    struct histogram latencies;
};

static void arrived(const struct unit *unit, void *context)
{
    struct measurement *measurement = context;
    uint64_t now = now_ns();
    measurement->traffic.last_arrival = now;
    if (!measurement->running)
        return;
    measurement->messages++;
    histogram_add(&measurement->latencies, now - unit->sent_at);
}

static bool broken(const struct measurement *measurement)
{
    return measurement->traffic.lost_connections
           || (double)(now_ns() - measurement->traffic.last_arrival) > STALL_SECONDS * SECOND;
}

/* Turn the loop for so many seconds; false when connections were lost or nothing arrives any more. */
static bool turn_for(struct measurement *measurement, double seconds)
{
    uint64_t end = now_ns() + (uint64_t)(seconds * SECOND);
    while (now_ns() < end) {
        loop_turn(&measurement->traffic.loop, 5);
        if (broken(measurement))
            return false;
    }
    return true;
}

static void measure(struct measurement *measurement, double seconds)
{
    const struct options *options = measurement->traffic.loop.options;
    process_tree_find(&measurement->relay, options->trees, options->tree_count);
    double relay = process_tree_cpu(&measurement->relay), own = own_process_cpu();
    measurement->running = true;
    measurement->began = now_ns();
    turn_for(measurement, seconds);
    measurement->ended = now_ns();
    measurement->running = false;
    measurement->relay_cpu = process_tree_cpu(&measurement->relay) - relay;
    measurement->own_cpu = own_process_cpu() - own;
}

/* What is still under way has to arrive too. */
static void drain(struct measurement *measurement)
{
    uint64_t end = now_ns() + (uint64_t)(DRAIN_SECONDS * SECOND);
    measurement->traffic.sending = false;
    while (pairs_missing(&measurement->traffic) && now_ns() < end && !measurement->traffic.lost_connections)
        loop_turn(&measurement->traffic.loop, 10);
}

static void describe_error(const struct measurement *measurement, char *text, size_t size)
{
    const struct traffic *traffic = &measurement->traffic;
    uint64_t missing = pairs_missing(traffic), damaged = pairs_damaged(traffic);
    text[0] = 0;
    if (traffic->lost_connections)
        snprintf(text, size, "%s", traffic->lost_reason);
    else if (traffic->first_bad_status)
        snprintf(text, size, "status %d", traffic->first_bad_status);
    else if (damaged)
        snprintf(text, size, "%llu damaged or out of order", (unsigned long long)damaged);
    else if (missing)
        snprintf(text, size, "%llu messages did not arrive", (unsigned long long)missing);
    else if (traffic->reports || traffic->unexpected)
        snprintf(text, size, "%llu unexpected frames", (unsigned long long)(traffic->reports + traffic->unexpected));
}

static int print_report(const struct measurement *measurement, bool connected)
{
    const struct options *options = measurement->traffic.loop.options;
    double messages = (double)measurement->messages, divisor = messages > 0 ? messages : 1;
    double seconds = (double)(measurement->ended - measurement->began) / SECOND;
    char error[128];
    describe_error(measurement, error, sizeof error);
    if (!connected && !error[0])
        snprintf(error, sizeof error, "the relay did not answer");
    report_begin();
    report_text("mode", "load");
    report_text("error", error[0] ? error : NULL);
    report_number("pairs", options->pairs);
    report_number("window", options->window);
    report_number("size", (double)options->size);
    report_number("tls", options->tls);
    report_number("seconds", seconds);
    report_number("messages", messages);
    report_number("messages_per_second", seconds > 0 ? messages / seconds : 0);
    report_number("cpu_us", measurement->relay_cpu * 1e6 / divisor);
    report_number("relay_busy", seconds > 0 ? measurement->relay_cpu / seconds : 0);
    report_number("generator_cpu_us", measurement->own_cpu * 1e6 / divisor);
    report_number("generator_busy", seconds > 0 ? measurement->own_cpu / seconds : 0);
    report_number("p50_us", histogram_quantile(&measurement->latencies, 0.5));
    report_number("p99_us", histogram_quantile(&measurement->latencies, 0.99));
    report_end();
    return error[0] ? 1 : 0;
}

int run_load(const struct options *options)
{
    struct measurement *measurement = allocate_zeroed(1, sizeof *measurement);
    measurement->traffic.arrived = arrived;
    bool connected = pairs_connect(&measurement->traffic, options);
    if (connected) {
        pairs_start(&measurement->traffic);
        if (turn_for(measurement, options->warm_up))
            measure(measurement, options->duration);
        drain(measurement);
    }
    return print_report(measurement, connected);
}
