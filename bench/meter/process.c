#define _GNU_SOURCE
#include "process.h"

#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

#include "common.h"

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

void process_prepare(int cpu)
{
    signal(SIGPIPE, SIG_IGN);
    use_all_descriptors();
    if (cpu >= 0)
        stay_on(cpu);
}
