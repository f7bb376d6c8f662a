/* The command line that all servers of the course share. */
#ifndef CMDLINE_H
#define CMDLINE_H

#include <stdbool.h>

struct cmdline {
    const char *address; /* -a, numeric IPv4 or IPv6; by default 127.0.0.1 */
    int port;            /* -p, 0 to 65535; by default 8083; 0 takes a free one */
    bool verbose;        /* -v */
    int workers;         /* WORKERS, 1 to WORKERS_MAX; by default 8 */
    const char *program; /* -w, where a server has it; by default NULL */
    int start_ms;        /* -s, where a server has it: pool_config's; by default 10000 */
};

enum { WORKERS_MAX = 100000 };

/*
 * Reads the command line of a server; one that runs its workers from a program of their own
 * passes true for `has_program` and gets options -w and -s. The strings returned are argv's.
 *
 * Does not return after -h (the usage on stdout, exit 0) or after a mistake (what is wrong and
 * the usage on stderr, exit 2). See getopt(3).
 */
struct cmdline cmdline_parse(int argc, char **argv, bool has_program);

/* An option with an argument, which one server has and others have not. */
struct cmdline_option {
    char letter;               /* by which it is given; 0 ends a list of options */
    const char *argument;      /* what the usage calls its argument, such as "PROGRAM" */
    const char *help;          /* its lines in the usage, each with its newline */
    const char *const *values; /* all that the argument may be, which NULL ends; NULL: anything */
    const char *value;         /* the default; after parsing what was given, which is argv's */
    int most;                  /* the argument is a number from 1 to this; 0: it is none */
    int number;                /* then this is the default, and what was given */
};

/* How long a worker has for its start: a program may load for longer than a copy of the server. */
#define CMDLINE_START                                                                              \
    {                                                                                              \
        .letter = 's', .argument = "SECONDS",                                                      \
        .help = "  -s SECONDS  the time a worker has from its birth to its first report (10)\n",   \
        .most = 24 * 60 * 60, .number = 10                                                         \
    }

/* The same for a server with further options, at most 8 of them. */
struct cmdline cmdline_parse_with(int argc, char **argv, struct cmdline_option options[]);

/*
 * Says on stdout that the server is ready, and flushes it, for whoever waits for this line:
 * "listening on 127.0.0.1:8083, 8 workers". Ends the program (exit 1) when that cannot be said.
 */
void cmdline_announce(const struct cmdline *cmdline, int listener);

#endif
