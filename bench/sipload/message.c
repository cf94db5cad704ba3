/* Pairs of registered users: the CPU that the server spends on a MESSAGE, how many go through, how fast. */
#include "measurement.h"
#include "modes.h"
#include "outcome.h"
#include "report.h"
#include "traffic.h"

struct run {
    struct site site;
    struct traffic traffic;
    struct measurement measurement;
    uint64_t messages;
    struct histogram latencies;
};

static void on_answered(struct site *site, struct call *call, int status)
{
    struct run *run = site->mode;
    if (run->measurement.running && status >= 200 && status < 300) {
        run->messages++;
        histogram_add(&run->latencies, now_ns() - call->due);
    }
    traffic_answered(&run->traffic, call->user);
}

static void measure(struct run *run, const struct options *options)
{
    traffic_start(&run->traffic, &run->site, options->rate, UINT64_MAX);
    if (!traffic_run(&run->traffic, options->warm_up))
        return;
    measurement_begin(&run->measurement, options);
    bool held = traffic_run(&run->traffic, options->duration);
    measurement_end(&run->measurement);
    if (held)
        traffic_drain(&run->traffic, options->drain);
}

static int print_report(const struct run *run)
{
    char text[128];
    const char *error = outcome_error(&run->site, text, sizeof text);
    if (!error && !run->messages)
        error = "no message was answered in the measured time";
    report_begin();
    report_text("mode", "message");
    report_text("error", error);
    measurement_report(&run->measurement, "messages", run->messages);
    report_number("p50_us", histogram_quantile(&run->latencies, 0.5));
    report_number("p90_us", histogram_quantile(&run->latencies, 0.9));
    report_number("p99_us", histogram_quantile(&run->latencies, 0.99));
    report_number("p999_us", histogram_quantile(&run->latencies, 0.999));
    outcome_report(&run->site);
    report_end();
    return error ? 1 : 0;
}

int run_message(const struct options *options)
{
    struct run *run = allocate_zeroed(1, sizeof *run);
    site_init(&run->site, options);
    run->site.mode = run;
    run->site.on_answered = on_answered;
    if (site_register_all(&run->site))
        measure(run, options);
    int status = print_report(run);
    site_unregister_all(&run->site);
    return status;
}
