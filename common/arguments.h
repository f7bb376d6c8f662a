/* What is the same on every command line: numbers, the usage, and mistakes. */
#ifndef ARGUMENTS_H
#define ARGUMENTS_H

#include <stdbool.h>
#include <stdint.h>

enum { EXIT_USAGE = 2 }; /* the status after a mistake in the arguments */

/*
 * Reads a whole decimal number from `low` to `high`. Returns false when `text` is anything else:
 * empty, out of range, followed or preceded by anything. See strtoimax(3).
 */
bool parse_number(const char *text, int64_t low, int64_t high, int64_t *number);

/*
 * In these `usage` is what stands behind "usage: PROGRAM ", with all its newlines. None of them
 * returns when it has printed it.
 */

/* What -h asks for: the usage on stdout, exit 0. */
_Noreturn void usage_help(const char *usage);

/* After a mistake, which has been told in a line of its own: the usage on stderr, EXIT_USAGE. */
_Noreturn void usage_mistake(const char *usage);

/*
 * Reads the argument of `option`, which getopt(3) has just found. Anything but a number from `low`
 * to `high` is a mistake; `what` may say of what, as in "not a number of rounds from 1 to 9", or be
 * NULL.
 */
int64_t option_number(int option, const char *what, int64_t low, int64_t high, const char *usage);

/* Checks that getopt(3) and the caller, who moves optind on, have taken all arguments. */
void expect_no_more_arguments(int argc, char **argv, const char *usage);

#endif
