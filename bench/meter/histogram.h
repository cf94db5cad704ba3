/* Latencies in logarithmic classes, 64 per power of two (error below 1.6 %). */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include "common.h"

#define HISTOGRAM_CLASSES (64 * 64)

struct histogram {
    uint64_t counts[HISTOGRAM_CLASSES];
    uint64_t total, largest;
};

void histogram_add(struct histogram *histogram, uint64_t nanoseconds);

/* Value below which the given part (0 to 1) of all lies, in microseconds; 0 when there is none. */
double histogram_quantile(const struct histogram *histogram, double part);

#endif
