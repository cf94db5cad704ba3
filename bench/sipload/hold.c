/* Memory and CPU that the server spends on registrations that then do nothing. */
#include "measurement.h"
#include "modes.h"
#include "report.h"
#include "site.h"

static void settle(struct site *site, double seconds)
{
    for (uint64_t end = now_ns() + (uint64_t)(seconds * 1e9); now_ns() < end;)
        if (!site_turn(site, 100))
            return;
}

int run_hold(const struct options *options)
{
    struct site site;
    struct measurement measurement = {0};
    char text[128];
    site_init(&site, options);
    measurement_begin(&measurement, options);
    long memory = process_tree_memory(&measurement.server);
    site_register_all(&site);
    measurement_end(&measurement);
    settle(&site, options->hold);
    memory = process_tree_memory(&measurement.server) - memory;
    const char *error = site_error(&site, text, sizeof text);
    report_begin();
    report_text("mode", "hold");
    report_text("error", error);
    report_text("transport", options->tcp ? "tcp" : "udp");
    measurement_report(&measurement, "registrations", (uint64_t)site.registered);
    report_number("growth_kib", (double)memory);
    report_number("bytes_per_registration", site.registered ? (double)memory * 1024 / site.registered : 0);
    report_number("retransmissions", (double)site.calls.retransmissions);
    report_end();
    site_unregister_all(&site);
    return error ? 1 : 0;
}
