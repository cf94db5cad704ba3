/* The generator's own process. */
#ifndef PROCESS_H
#define PROCESS_H

/* Ignore SIGPIPE, allow as many descriptors as the system does, stay on a CPU (negative: any). */
void process_prepare(int cpu);

#endif
