/* The measurements; each prints its report and returns the exit status. */
#ifndef MODES_H
#define MODES_H

#include "options.h"

int run_message(const struct options *options);
int run_register(const struct options *options);
int run_hold(const struct options *options);
int run_transactions(const struct options *options);
int run_overload(const struct options *options);

#endif
