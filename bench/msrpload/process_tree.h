/* What the kernel says of a process and all its descendants. */
#ifndef PROCESS_TREE_H
#define PROCESS_TREE_H

#include "common.h"

#define MAX_PROCESSES 256

struct process_tree {
    int pids[MAX_PROCESSES];
    int count;
};

/* Find the descendants of `root`; an empty tree when root is 0. */
void process_tree_find(struct process_tree *tree, int root);

/* Seconds on a CPU of all threads since they began, from the scheduler's own counters. */
double process_tree_cpu(const struct process_tree *tree);

/* Resident memory in KiB: shared pages in full for each process (cheap), or divided among them (exact, slow). */
long process_tree_rss(const struct process_tree *tree);
long process_tree_pss(const struct process_tree *tree);

#endif
