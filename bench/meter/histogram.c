#include "histogram.h"

#define CLASS_BITS 6
#define CLASSES_PER_POWER (1u << CLASS_BITS)

static unsigned class_of(uint64_t value)
{
    if (value < CLASSES_PER_POWER)
        return (unsigned)value;
    unsigned power = 63 - (unsigned)__builtin_clzll(value);
    unsigned step = (unsigned)(value >> (power - CLASS_BITS)) & (CLASSES_PER_POWER - 1);
    return (power - CLASS_BITS + 1) * CLASSES_PER_POWER + step;
}

static uint64_t lower_bound(unsigned class)
{
    unsigned power = class / CLASSES_PER_POWER, step = class % CLASSES_PER_POWER;
    return power == 0 ? step : (uint64_t)(CLASSES_PER_POWER + step) << (power - 1);
}

void histogram_add(struct histogram *histogram, uint64_t nanoseconds)
{
    histogram->counts[class_of(nanoseconds)]++;
    histogram->total++;
    if (nanoseconds > histogram->largest)
        histogram->largest = nanoseconds;
}

double histogram_quantile(const struct histogram *histogram, double part)
{
    uint64_t wanted = (uint64_t)(part * (double)histogram->total), seen = 0;
    for (unsigned class = 0; class < HISTOGRAM_CLASSES; class++) {
        seen += histogram->counts[class];
        if (seen > wanted)
            return (double)lower_bound(class) / 1e3;
    }
    return (double)histogram->largest / 1e3;
}
