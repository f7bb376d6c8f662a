/* What load prints. */
#ifndef REPORT_H
#define REPORT_H

#include "loop.h"
#include "options.h"

/*
 * Both reports take sorted samples, and the CPU time that the server has taken, in nanoseconds, or
 * -1 when it is not known.
 */

/* A header and a row of tab-separated values; "-" for what nobody asked for. Those of an open loop
 * stand behind the others. */
void report_table(const struct options *options, const struct result *result, int64_t server_ns);

/* The same in words. */
void report_text(const struct options *options, const struct result *result, int64_t server_ns);

/* Writes all latencies to a file, sorted, in microseconds. Returns -1 with errno. */
int report_latencies(const struct result *result, const char *path);

#endif
