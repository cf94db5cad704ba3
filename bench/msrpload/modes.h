/* The measurements; each prints its report and returns the exit status. */
#ifndef MODES_H
#define MODES_H

#include "options.h"

int run_load(const struct options *options);
int run_idle(const struct options *options);
int run_setup(const struct options *options);
int run_stream(const struct options *options);

#endif
