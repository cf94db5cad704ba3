/* What became of the messages of a run, for its report. */
#ifndef OUTCOME_H
#define OUTCOME_H

#include "site.h"

/* Report the run's options and all counts. */
void outcome_report(const struct site *site);

/* Why the messages of a run in which all have to succeed do not count; NULL when they do. */
const char *outcome_error(const struct site *site, char *text, size_t size);

#endif
