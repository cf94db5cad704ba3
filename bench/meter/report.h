/* The result: one JSON object on one line of standard output. */
#ifndef REPORT_H
#define REPORT_H

void report_begin(void);
void report_number(const char *name, double value);
void report_text(const char *name, const char *value); /* NULL becomes null */
void report_numbers(const char *name, const double *values, int count);
void report_end(void);

#endif
