#include "report.h"

#include <stdio.h>

static int members;

static void name_of(const char *name)
{
    printf("%s\"%s\": ", members++ ? ", " : "", name);
}

void report_begin(void)
{
    members = 0;
    putchar('{');
}

void report_number(const char *name, double value)
{
    name_of(name);
    printf("%.10g", value);
}

void report_numbers(const char *name, const double *values, int count)
{
    name_of(name);
    putchar('[');
    for (int i = 0; i < count; i++)
        printf("%s%.10g", i ? ", " : "", values[i]);
    putchar(']');
}

void report_text(const char *name, const char *value)
{
    name_of(name);
    if (!value) {
        fputs("null", stdout);
        return;
    }
    putchar('"');
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            putchar('\\');
        if ((unsigned char)*value >= ' ')
            putchar(*value);
    }
    putchar('"');
}

void report_end(void)
{
    puts("}");
    fflush(stdout);
}
