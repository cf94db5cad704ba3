/* The server's and the generator's CPU over a stretch of time. */
#ifndef MEASUREMENT_H
#define MEASUREMENT_H

#include "options.h"
#include "process_tree.h"

struct measurement {
    struct process_tree server;
    uint64_t began, ended;      /* nanoseconds */
    double server_cpu, own_cpu; /* seconds; of the stretch, once it has ended */
    bool running;
};

void measurement_begin(struct measurement *measurement, const struct options *options);
void measurement_end(struct measurement *measurement);

/* Report the stretch's length and the CPU, divided by the number of `what` things that were done: "messages". */
void measurement_report(const struct measurement *measurement, const char *what, uint64_t count);

#endif
