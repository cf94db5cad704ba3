#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

#include "modes.h"
#include "payload.h"

static void use_all_descriptors(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void stay_on(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) < 0)
        fail("there is no CPU %d", cpu);
}

int main(int count, char **arguments)
{
    static int (*const run[])(const struct options *) = {
        [MODE_LOAD] = run_load, [MODE_IDLE] = run_idle, [MODE_SETUP] = run_setup, [MODE_STREAM] = run_stream,
    };
    struct options options;
    options_parse(&options, count, arguments);
    signal(SIGPIPE, SIG_IGN);
    use_all_descriptors();
    if (options.cpu >= 0)
        stay_on(options.cpu);
    payload_init();
    return run[options.mode](&options);
}
