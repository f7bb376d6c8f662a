/* What load is asked for. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct options {
    const char *address;
    int port;
    struct addrinfo *target; /* both of them; the caller frees it */
    double rate;             /* connections a second in an open loop; 0 for a closed loop */
    bool fixed;              /* at even distances */
    int64_t wait;            /* of a client between two connections, in nanoseconds */
    int64_t at_once;         /* clients of the closed loop, bound of the open one */
    int64_t connections, seconds, bytes, messages, timeout;
    uint64_t seed;
    pid_t server; /* whose CPU time to measure; 0 for none */
    bool table;   /* tab-separated output */
    bool lines;   /* messages are lines of text */
    const char *latencies;
    int64_t spares; /* sockets that may be open beside those of `at_once` */
};

/*
 * Reads the command line, and raises the limit of open descriptors to what it asks for. Does not
 * return after -h (exit 0), after a mistake (what is wrong and the usage on stderr, exit 2), or
 * when so many descriptors cannot be had (exit 1).
 */
struct options options_parse(int argc, char **argv);

#endif
