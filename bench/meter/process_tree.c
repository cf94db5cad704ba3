#define _GNU_SOURCE
#include "process_tree.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define MAX_NAME 300

/* Call `visit` with "/proc/PID/task/TID" of each thread. */
static void each_thread(int pid, void (*visit)(const char *directory, void *context), void *context)
{
    char tasks[MAX_NAME], task[2 * MAX_NAME];
    snprintf(tasks, sizeof tasks, "/proc/%d/task", pid);
    DIR *directory = opendir(tasks);
    if (!directory)
        return;
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(task, sizeof task, "%s/%s", tasks, entry->d_name);
        visit(task, context);
    }
    closedir(directory);
}

static FILE *open_in(const char *directory, const char *name)
{
    char path[3 * MAX_NAME];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return fopen(path, "r");
}

static void add_children(const char *task, void *context)
{
    struct process_tree *tree = context;
    FILE *children = open_in(task, "children");
    if (!children)
        return;
    for (int pid; fscanf(children, "%d", &pid) == 1 && tree->count < MAX_PROCESSES;)
        tree->pids[tree->count++] = pid;
    fclose(children);
}

void process_tree_find(struct process_tree *tree, const int *roots, int count)
{
    for (tree->count = 0; tree->count < count; tree->count++)
        tree->pids[tree->count] = roots[tree->count];
    for (int i = 0; i < tree->count; i++)
        each_thread(tree->pids[i], add_children, tree);
}

static void add_cpu(const char *task, void *context)
{
    FILE *counters = open_in(task, "schedstat");
    unsigned long long nanoseconds;
    if (!counters)
        return;
    if (fscanf(counters, "%llu", &nanoseconds) == 1)
        *(double *)context += (double)nanoseconds / 1e9;
    fclose(counters);
}

double process_tree_cpu(const struct process_tree *tree)
{
    double seconds = 0;
    for (int i = 0; i < tree->count; i++)
        each_thread(tree->pids[i], add_cpu, &seconds);
    return seconds;
}

static FILE *open_of_process(int pid, const char *name)
{
    char directory[MAX_NAME];
    snprintf(directory, sizeof directory, "/proc/%d", pid);
    return open_in(directory, name);
}

long process_tree_rss(const struct process_tree *tree)
{
    long pages = 0, total, resident;
    for (int i = 0; i < tree->count; i++) {
        FILE *file = open_of_process(tree->pids[i], "statm");
        if (!file)
            continue;
        if (fscanf(file, "%ld %ld", &total, &resident) == 2)
            pages += resident;
        fclose(file);
    }
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* Pages of files are left out: what they count for depends on who else has them mapped. */
static long own_memory(FILE *rollup)
{
    long sum = 0, kib;
    char line[256];
    while (fgets(line, sizeof line, rollup))
        if (sscanf(line, "Pss_Anon: %ld", &kib) == 1 || sscanf(line, "Pss_Shmem: %ld", &kib) == 1)
            sum += kib;
    return sum;
}

long process_tree_memory(const struct process_tree *tree)
{
    long sum = 0;
    for (int i = 0; i < tree->count; i++) {
        FILE *rollup = open_of_process(tree->pids[i], "smaps_rollup");
        if (!rollup)
            continue;
        sum += own_memory(rollup);
        fclose(rollup);
    }
    return sum;
}

double own_process_cpu(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
           + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}
