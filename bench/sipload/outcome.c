#include "outcome.h"

#include <stdio.h>

#include "report.h"

static uint64_t statuses_between(const struct counts *counts, int first, int last)
{
    uint64_t sum = 0;
    for (int status = first; status <= last; status++)
        sum += counts->statuses[status];
    return sum;
}

static void report_options(const struct site *site)
{
    const struct options *options = site->options;
    report_text("transport", options->tcp ? "tcp" : "udp");
    report_number("pairs", options->pairs);
    report_number("window", options->window);
    report_number("rate", options->rate);
    report_number("body_bytes", (double)options->size);
    report_number("request_bytes", site->user_count ? (double)site->users[0].message.length : 0);
}

static void report_counts(const struct site *site)
{
    const struct counts *counts = &site->counts;
    report_number("sent", (double)counts->sent);
    report_number("ok", (double)counts->statuses[200]);
    report_number("accepted", (double)counts->statuses[202]);
    report_number("client_errors", (double)statuses_between(counts, 400, 499));
    report_number("unavailable", (double)counts->statuses[503]);
    report_number("server_errors", (double)(statuses_between(counts, 500, 599) - counts->statuses[503]));
    report_number("other", (double)(statuses_between(counts, 203, 399) + statuses_between(counts, 600, 699)));
    report_number("timeouts", (double)counts->timeouts);
    report_number("pending", (double)site->calls.pending);
    report_number("retransmissions", (double)site->calls.retransmissions);
    report_number("delivered", (double)counts->delivered);
    report_number("redelivered", (double)counts->redelivered);
    report_number("duplicates", (double)counts->duplicates);
    report_number("damaged", (double)counts->damaged);
    report_number("misdelivered", (double)counts->misdelivered);
    report_number("unfounded", (double)counts->unfounded);
    report_number("strays", (double)counts->strays);
    report_number("unsent", (double)site->flows.unsent);
}

void outcome_report(const struct site *site)
{
    report_options(site);
    report_counts(site);
}

static int first_failure(const struct counts *counts)
{
    for (int status = 300; status < MAX_STATUS; status++)
        if (counts->statuses[status])
            return status;
    return 0;
}

const char *outcome_error(const struct site *site, char *text, size_t size)
{
    const char *error = site_error(site, text, size);
    int status = first_failure(&site->counts);
    uint64_t silent = site->counts.timeouts + site->calls.pending;
    if (error)
        return error;
    if (status)
        snprintf(text, size, "status %d", status);
    else if (silent)
        snprintf(text, size, "%llu messages were not answered", (unsigned long long)silent);
    else
        return NULL;
    return text;
}
