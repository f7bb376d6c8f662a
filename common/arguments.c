#include "arguments.h"

#include "output.h"

#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

bool parse_number(const char *text, int64_t low, int64_t high, int64_t *number)
{
    char *end;

    if (!isdigit((unsigned char)*text)) /* strtoimax(3) would skip blanks and take a sign */
        return false;
    errno = 0;
    *number = strtoimax(text, &end, 10);
    return errno == 0 && *end == '\0' && *number >= low && *number <= high;
}

static void print_usage(FILE *out, const char *usage)
{
    fprintf(out, "usage: %s %s", program_invocation_short_name, usage);
}

void usage_help(const char *usage)
{
    print_usage(stdout, usage);
    output_check();
    exit(EXIT_SUCCESS);
}

void usage_mistake(const char *usage)
{
    print_usage(stderr, usage);
    exit(EXIT_USAGE);
}

int64_t option_number(int option, const char *what, int64_t low, int64_t high, const char *usage)
{
    int64_t number;

    if (parse_number(optarg, low, high, &number))
        return number;
    warnx("-%c %s: not a number%s%s from %" PRId64 " to %" PRId64, option, optarg,
          what ? " of " : "", what ? what : "", low, high);
    usage_mistake(usage);
}

void expect_no_more_arguments(int argc, char **argv, const char *usage)
{
    if (optind < argc) {
        warnx("%s: one argument too many", argv[optind]);
        usage_mistake(usage);
    }
}
