#include "measurement.h"

#include <stdio.h>

#include "report.h"

void measurement_begin(struct measurement *measurement, const struct options *options)
{
    process_tree_find(&measurement->server, options->trees, options->tree_count);
    measurement->server_cpu = process_tree_cpu(&measurement->server);
    measurement->own_cpu = own_process_cpu();
    measurement->began = now_ns();
    measurement->running = true;
}

void measurement_end(struct measurement *measurement)
{
    measurement->ended = now_ns();
    measurement->running = false;
    measurement->server_cpu = process_tree_cpu(&measurement->server) - measurement->server_cpu;
    measurement->own_cpu = own_process_cpu() - measurement->own_cpu;
}

void measurement_report(const struct measurement *measurement, const char *what, uint64_t count)
{
    double seconds = (double)(measurement->ended - measurement->began) / 1e9;
    double divisor = count ? (double)count : 1, length = seconds > 0 ? seconds : 1;
    char name[64];
    snprintf(name, sizeof name, "%s_per_second", what);
    report_number("seconds", seconds);
    report_number(what, (double)count);
    report_number(name, (double)count / length);
    report_number("cpu_us", measurement->server_cpu * 1e6 / divisor);
    report_number("server_busy", measurement->server_cpu / length);
    report_number("generator_cpu_us", measurement->own_cpu * 1e6 / divisor);
    report_number("generator_busy", measurement->own_cpu / length);
}
