#define _GNU_SOURCE
#include "modes.h"
#include "payload.h"
#include "process.h"

int main(int count, char **arguments)
{
    static int (*const run[])(const struct options *) = {
        [MODE_LOAD] = run_load, [MODE_IDLE] = run_idle, [MODE_SETUP] = run_setup, [MODE_STREAM] = run_stream,
    };
    struct options options;
    options_parse(&options, count, arguments);
    process_prepare(options.cpu);
    payload_init();
    return run[options.mode](&options);
}
