#include "cmdline.h"

#include "arguments.h"
#include "listener.h"
#include "log.h"
#include "output.h"

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPTIONS_MAX = 8 };

static void print_usage(FILE *out, const struct cmdline_option options[])
{
    fprintf(out, "usage: %s [-a ADDR] [-p PORT] [-v]", program_invocation_short_name);
    for (const struct cmdline_option *option = options; option->letter; option++)
        fprintf(out, " [-%c %s]", option->letter, option->argument);
    fputs(" [WORKERS]\n"
          "  -a ADDR     listen on this IPv4 or IPv6 address (127.0.0.1)\n"
          "  -p PORT     listen on this port; 0 takes a free one (8083)\n"
          "  -v          say on stderr who gets each connection\n",
          out);
    for (const struct cmdline_option *option = options; option->letter; option++)
        fputs(option->help, out);
    fputs("  -h          print this\n"
          "  WORKERS     serve at most this many connections at once (8)\n",
          out);
}

/* Takes the argument of an option. Returns false, having said why, when it is none of its values.
 */
static bool take(struct cmdline_option *option, const char *argument)
{
    char list[256] = "";
    size_t length = 0;

    option->value = argument;
    if (option->most != 0) {
        int64_t number;
        if (!parse_number(argument, 1, option->most, &number)) {
            warnx("-%c %s: not a number from 1 to %d", option->letter, argument, option->most);
            return false;
        }
        option->number = (int)number;
        return true;
    }
    if (!option->values)
        return true;
    for (const char *const *value = option->values; *value; value++) {
        if (strcmp(*value, argument) == 0)
            return true;
        if (length < sizeof(list))
            length += (size_t)snprintf(list + length, sizeof(list) - length, "%s%s",
                                       length ? ", " : "", *value);
    }
    warnx("-%c %s: not one of %s", option->letter, argument, list);
    return false;
}

struct cmdline cmdline_parse(int argc, char **argv, bool has_program)
{
    struct cmdline_option options[] = {
        {.letter = has_program ? 'w' : '\0',
         .argument = "PROGRAM",
         .help = "  -w PROGRAM  run this file as worker; PATH is not searched\n"
                 "              (\"worker\", in the folder of this program)\n"},
        CMDLINE_START,
        {0},
    };
    struct cmdline cmdline = cmdline_parse_with(argc, argv, options);

    cmdline.program = options[0].value;
    cmdline.start_ms = 1000 * options[1].number;
    return cmdline;
}

struct cmdline cmdline_parse_with(int argc, char **argv, struct cmdline_option options[])
{
    struct cmdline cmdline = {.address = "127.0.0.1", .port = 8083, .workers = 8};
    char letters[sizeof("a:p:vh") + 2 * OPTIONS_MAX] = "a:p:vh", *end = strchr(letters, '\0');
    int64_t number;
    int letter;

    for (int i = 0; i < OPTIONS_MAX && options[i].letter; i++, end += 2)
        memcpy(end, (char[]){options[i].letter, ':', '\0'}, 3);
    argv[0] = program_invocation_short_name; /* by which getopt's messages begin, too */

    while ((letter = getopt(argc, argv, letters)) != -1) {
        struct cmdline_option *option = options;

        switch (letter) {
        case 'a':
            if (!address_valid(optarg)) {
                warnx("-a %s: not an IP address (such as 127.0.0.1 or ::1)", optarg);
                goto usage;
            }
            cmdline.address = optarg;
            break;
        case 'p':
            if (!parse_number(optarg, 0, 65535, &number)) {
                warnx("-p %s: not a port (0 to 65535)", optarg);
                goto usage;
            }
            cmdline.port = (int)number;
            break;
        case 'v':
            cmdline.verbose = true;
            break;
        case 'h':
            print_usage(stdout, options);
            output_check();
            exit(EXIT_SUCCESS);
        default:
            while (option->letter && option->letter != letter)
                option++;
            if (!option->letter || !take(option, optarg)) /* of the first getopt has told */
                goto usage;
        }
    }
    if (optind < argc) {
        if (!parse_number(argv[optind], 1, WORKERS_MAX, &number)) {
            warnx("%s: not a number of workers (1 to %d)", argv[optind], WORKERS_MAX);
            goto usage;
        }
        cmdline.workers = (int)number;
        optind++;
    }
    if (optind < argc) {
        warnx("%s: one argument too many", argv[optind]);
        goto usage;
    }
    return cmdline;

usage:
    print_usage(stderr, options);
    exit(EXIT_USAGE);
}

void cmdline_announce(const struct cmdline *cmdline, int listener)
{
    char name[SOCKET_NAME_MAX], line[SOCKET_NAME_MAX + 64];
    int length =
        snprintf(line, sizeof(line), "listening on %s, %d worker%s\n", local_name(listener, name),
                 cmdline->workers, cmdline->workers == 1 ? "" : "s");

    /* Like the log it is lost rather than waited for: clients are there already. */
    if (write_now(STDOUT_FILENO, line, (size_t)length) == -1 && errno != EAGAIN)
        log_failure("stdout");
}
