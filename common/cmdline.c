#include "cmdline.h"

#include "arguments.h"
#include "listener.h"
#include "log.h"
#include "output.h"

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void print_usage(FILE *out, bool has_program)
{
    fprintf(out, "usage: %s [-a ADDR] [-p PORT] [-v]%s [WORKERS]\n", program_invocation_short_name,
            has_program ? " [-w PROGRAM]" : "");
    fputs("  -a ADDR     listen on this IPv4 or IPv6 address (127.0.0.1)\n"
          "  -p PORT     listen on this port; 0 takes a free one (8083)\n"
          "  -v          log each hand-over on stderr\n",
          out);
    if (has_program)
        fputs("  -w PROGRAM  run this file as worker; PATH is not searched\n"
              "              (\"worker\", in the folder of this program)\n",
              out);
    fputs("  -h          print this\n"
          "  WORKERS     serve at most this many connections at once (8)\n",
          out);
}

struct cmdline cmdline_parse(int argc, char **argv, bool has_program)
{
    struct cmdline cmdline = {.address = "127.0.0.1", .port = 8083, .workers = 8};
    int64_t number;
    int option;

    argv[0] = program_invocation_short_name; /* by which getopt's messages begin, too */

    while ((option = getopt(argc, argv, has_program ? "a:p:vw:h" : "a:p:vh")) != -1) {
        switch (option) {
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
        case 'w':
            cmdline.program = optarg;
            break;
        case 'h':
            print_usage(stdout, has_program);
            output_check();
            exit(EXIT_SUCCESS);
        default: /* getopt has said what is wrong */
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
    print_usage(stderr, has_program);
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
