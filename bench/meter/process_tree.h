/* What the kernel says of a process and all its descendants. */
#ifndef PROCESS_TREE_H
#define PROCESS_TREE_H

#include "common.h"

#define MAX_PROCESSES 256

struct process_tree {
    int pids[MAX_PROCESSES];
    int count;
};

/* Find the descendants of all `roots`; an empty tree when there is none. */
void process_tree_find(struct process_tree *tree, const int *roots, int count);

/* Seconds on a CPU of all threads since they began, from the scheduler's own counters. */
double process_tree_cpu(const struct process_tree *tree);

/* Seconds that the generator itself spent on a CPU. */
double own_process_cpu(void);

/* Resident memory in KiB: all pages, those shared by several processes as often (cheap). */
long process_tree_rss(const struct process_tree *tree);

/* Resident memory in KiB that the tree made itself, shared pages once (slow). */
long process_tree_memory(const struct process_tree *tree);

#endif
