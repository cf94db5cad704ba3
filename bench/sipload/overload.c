/* More messages than the server can take, then few: what was answered in each second, and when all was well again. */
#include <math.h>
#include <string.h>

#include "modes.h"
#include "outcome.h"
#include "report.h"
#include "traffic.h"

#define MAX_SECONDS 600
#define SECOND 1e9

struct run {
    struct site site;
    struct traffic traffic;
    uint64_t began, overload_ended, last_bad; /* last_bad: when the last message was sent that was not prompt */
    int seconds;                              /* for which messages were sent */
    /* By the second in which it was answered: */
    double answered[MAX_SECONDS], refused[MAX_SECONDS], other[MAX_SECONDS], p50_ms[MAX_SECONDS];
    /* By the second in which it was sent; prompt: answered 2xx within T1. */
    double sent[MAX_SECONDS], prompt[MAX_SECONDS], unanswered[MAX_SECONDS];
    struct histogram *latencies;
};

static int second_of(const struct run *run, uint64_t time)
{
    double second = (double)(time - run->began) / SECOND;
    return second < MAX_SECONDS ? (int)second : MAX_SECONDS - 1;
}

static void not_prompt(struct run *run, const struct call *call)
{
    if (call->due >= run->overload_ended && call->due > run->last_bad)
        run->last_bad = call->due;
}

static void on_answered(struct site *site, struct call *call, int status)
{
    struct run *run = site->mode;
    uint64_t now = now_ns(), latency = now - call->due;
    int second = second_of(run, now);
    bool ok = status >= 200 && status < 300, prompt = ok && (double)latency <= site->options->t1 * SECOND;
    if (!status)
        return; /* counted with those that never were */
    run->answered[second] += ok;
    run->refused[second] += status == 503;
    run->other[second] += !ok && status != 503;
    run->prompt[second_of(run, call->due)] += prompt;
    run->unanswered[second_of(run, call->due)]--;
    if (ok)
        histogram_add(&run->latencies[second], latency);
    if (!prompt)
        not_prompt(run, call);
}

/* What was sent is known by the number of each message: they were released evenly. */
static void count_sent(struct run *run, uint64_t first)
{
    for (uint64_t number = first + 1; number <= run->site.calls.last_number; number++) {
        const struct call *call = calls_find(&run->site.calls, number);
        if (!call)
            fail("more messages than the generator remembers: a lower rate or a shorter run");
        run->sent[second_of(run, call->due)]++;
        run->unanswered[second_of(run, call->due)]++;
        if (call->pending)
            not_prompt(run, call);
    }
}

static void overload(struct run *run, const struct options *options)
{
    uint64_t first = run->site.calls.last_number;
    run->began = now_ns();
    run->overload_ended = UINT64_MAX;
    run->seconds = (int)ceil(options->duration + options->recovery);
    traffic_start(&run->traffic, &run->site, options->rate, UINT64_MAX);
    bool held = traffic_run(&run->traffic, options->duration);
    run->overload_ended = now_ns();
    traffic_change_rate(&run->traffic, options->recovery_rate);
    if (held && traffic_run(&run->traffic, options->recovery))
        traffic_drain(&run->traffic, options->drain);
    count_sent(run, first);
}

/* The first second is left out: queues fill in it. */
static double answered_per_second(const struct run *run, double duration)
{
    int first = duration > 2 ? 1 : 0, last = (int)duration;
    double sum = 0;
    for (int second = first; second < last; second++)
        sum += run->answered[second];
    return last > first ? sum / (last - first) : run->answered[0] / duration;
}

static void report_seconds(struct run *run)
{
    for (int second = 0; second < run->seconds; second++)
        run->p50_ms[second] = histogram_quantile(&run->latencies[second], 0.5) / 1e3;
    report_numbers("sent_by_second", run->sent, run->seconds);
    report_numbers("answered_by_second", run->answered, run->seconds);
    report_numbers("refused_by_second", run->refused, run->seconds);
    report_numbers("other_by_second", run->other, run->seconds);
    report_numbers("prompt_by_second", run->prompt, run->seconds);
    report_numbers("unanswered_by_second", run->unanswered, run->seconds);
    report_numbers("p50_ms_by_second", run->p50_ms, run->seconds);
}

static int print_report(struct run *run, const struct options *options)
{
    char text[128];
    const char *error = site_error(&run->site, text, sizeof text);
    double recovery = run->last_bad ? (double)(run->last_bad - run->overload_ended) / SECOND : 0;
    report_begin();
    report_text("mode", "overload");
    report_text("error", error);
    report_number("overload_seconds", options->duration);
    report_number("recovery_rate", options->recovery_rate);
    report_number("answered_per_second", answered_per_second(run, options->duration));
    report_number("recovery_seconds", recovery);
    report_number("retransmit", options->retransmit);
    report_seconds(run);
    outcome_report(&run->site);
    report_end();
    return error ? 1 : 0;
}

int run_overload(const struct options *options)
{
    struct run *run = allocate_zeroed(1, sizeof *run);
    if (options->duration + options->recovery + options->drain > MAX_SECONDS)
        fail("an overload lasts at most %d seconds", MAX_SECONDS);
    run->latencies = allocate_zeroed(MAX_SECONDS, sizeof *run->latencies);
    site_init(&run->site, options);
    run->site.mode = run;
    if (site_register_all(&run->site)) {
        run->site.on_answered = on_answered;
        overload(run, options);
    }
    int status = print_report(run, options);
    site_unregister_all(&run->site);
    return status;
}
