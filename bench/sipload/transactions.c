/* Memory that the server keeps of transactions that have finished, before it may forget them (RFC 3261, timer J). */
#include "measurement.h"
#include "modes.h"
#include "outcome.h"
#include "report.h"
#include "traffic.h"

struct run {
    struct site site;
    struct traffic traffic;
    struct measurement measurement;
    long growth, growth_later; /* KiB */
};

static void on_answered(struct site *site, struct call *call, int status)
{
    struct run *run = site->mode;
    (void)status;
    traffic_answered(&run->traffic, call->user);
}

static bool finish(struct run *run, uint64_t messages)
{
    const struct options *options = run->site.options;
    traffic_start(&run->traffic, &run->site, options->rate, messages);
    while (run->traffic.left)
        if (!traffic_run(&run->traffic, 0.001))
            return false;
    return traffic_drain(&run->traffic, options->drain);
}

/* A tenth goes first: what the server makes once it makes then. */
static void measure(struct run *run, const struct options *options)
{
    if (!finish(run, options->messages / 10 + 1))
        return;
    measurement_begin(&run->measurement, options);
    long before = process_tree_memory(&run->measurement.server);
    bool finished = finish(run, options->messages);
    run->growth = process_tree_memory(&run->measurement.server) - before;
    measurement_end(&run->measurement);
    if (finished)
        traffic_run(&run->traffic, options->hold);
    run->growth_later = process_tree_memory(&run->measurement.server) - before;
}

int run_transactions(const struct options *options)
{
    struct run *run = allocate_zeroed(1, sizeof *run);
    char text[128];
    site_init(&run->site, options);
    run->site.mode = run;
    run->site.on_answered = on_answered;
    if (site_register_all(&run->site))
        measure(run, options);
    const char *error = outcome_error(&run->site, text, sizeof text);
    report_begin();
    report_text("mode", "transactions");
    report_text("error", error);
    measurement_report(&run->measurement, "messages", options->messages);
    report_number("growth_kib", (double)run->growth);
    report_number("bytes_per_transaction", (double)run->growth * 1024 / (double)options->messages);
    report_number("growth_after_hold_kib", (double)run->growth_later);
    outcome_report(&run->site);
    report_end();
    site_unregister_all(&run->site);
    return error ? 1 : 0;
}
