#include "modes.h"
#include "process.h"

int main(int count, char **arguments)
{
    static int (*const run[])(const struct options *) = {
        [MODE_MESSAGE] = run_message, [MODE_REGISTER] = run_register, [MODE_HOLD] = run_hold,
        [MODE_TRANSACTIONS] = run_transactions, [MODE_OVERLOAD] = run_overload,
    };
    struct options options;
    options_parse(&options, count, arguments);
    process_prepare(options.cpu);
    return run[options.mode](&options);
}
