/* Users that register again and again: registrations per second, and the CPU of each, its challenge included. */
#include "measurement.h"
#include "modes.h"
#include "registration.h"
#include "report.h"

struct run {
    struct site site;
    struct measurement measurement;
    uint64_t registrations, challenges;
    int next; /* whose turn it is */
    bool going;
    struct histogram latencies;
};

/* The user that has waited longest follows: all of them keep their bindings. */
static void begin_next(struct run *run)
{
    struct site *site = &run->site;
    for (int tried = 0; tried < site->user_count; tried++) {
        struct user *user = &site->users[run->next];
        run->next = (run->next + 1) % site->user_count;
        if (user->state == USER_REGISTERED) {
            registration_begin(site, user);
            return;
        }
    }
}

static void on_registered(struct site *site, struct user *user)
{
    struct run *run = site->mode;
    if (!run->going)
        return;
    if (run->measurement.running) {
        run->registrations++;
        histogram_add(&run->latencies, now_ns() - user->began);
    }
    begin_next(run);
}

static bool turn_for(struct run *run, double seconds)
{
    for (uint64_t end = now_ns() + (uint64_t)(seconds * 1e9); now_ns() < end;)
        if (!site_turn(&run->site, 5) || run->site.refused)
            return false;
    return true;
}

static void measure(struct run *run, const struct options *options)
{
    run->going = true;
    for (int i = 0; i < options->concurrency && i < options->users; i++)
        begin_next(run);
    flows_flush(&run->site.flows);
    if (!turn_for(run, options->warm_up))
        return;
    measurement_begin(&run->measurement, options);
    run->challenges = run->site.counts.challenges;
    turn_for(run, options->duration);
    run->challenges = run->site.counts.challenges - run->challenges;
    measurement_end(&run->measurement);
    run->going = false;
    turn_for(run, 0.2);
}

static int print_report(const struct run *run)
{
    const struct options *options = run->site.options;
    char text[128];
    const char *error = site_error(&run->site, text, sizeof text);
    if (!error && !run->registrations)
        error = "no REGISTER was answered in the measured time";
    report_begin();
    report_text("mode", "register");
    report_text("error", error);
    report_text("transport", options->tcp ? "tcp" : "udp");
    report_text("algorithm", options->algorithm);
    report_number("users", options->users);
    report_number("concurrency", options->concurrency);
    measurement_report(&run->measurement, "registrations", run->registrations);
    report_number("challenges", (double)run->challenges);
    report_number("p50_us", histogram_quantile(&run->latencies, 0.5));
    report_number("p99_us", histogram_quantile(&run->latencies, 0.99));
    report_number("retransmissions", (double)run->site.calls.retransmissions);
    report_end();
    return error ? 1 : 0;
}

int run_register(const struct options *options)
{
    struct run *run = allocate_zeroed(1, sizeof *run);
    site_init(&run->site, options);
    run->site.mode = run;
    run->site.on_registered = on_registered;
    if (site_register_all(&run->site))
        measure(run, options);
    int status = print_report(run);
    site_unregister_all(&run->site);
    return status;
}
