#include "options.h"

#include "arguments.h"
#include "listener.h"

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum {
    CLIENTS = 8,      /* by default, of a closed loop */
    BOUND = 10000,    /* by default, of an open loop */
    SPARES = 64,      /* sockets */
    OTHER_FILES = 16, /* descriptors that are no connections */
};

static const char usage[] =
    "[-a ADDR] [-p PORT] [-r RATE [-f]] [-c COUNT] [-w MS]\n"
    "            [-n CONNECTIONS] [-d SECONDS] [-b BYTES] [-m MESSAGES]\n"
    "            [-t SECONDS] [-s SEED] [-P PID] [-l FILE] [-LT]\n"
    "  -a ADDR         the server's IPv4 or IPv6 address (127.0.0.1)\n"
    "  -p PORT         its port (8083)\n"
    "  -r, --rate RATE open loop: start RATE connections a second, whether earlier\n"
    "                  ones have ended or not; without it, closed loop\n"
    "  -f, --fixed     start them at even distances (at random ones: Poisson)\n"
    "  -c COUNT        closed loop: clients, each with one connection at a time (8);\n"
    "                  open loop: at most so many connections at once (10000)\n"
    "  -w MS           closed loop: each client waits so long before its next\n"
    "                  connection (0)\n"
    "  -n CONNECTIONS  stop after so many connections (10000)\n"
    "  -d SECONDS      start no connection after so many seconds (30)\n"
    "  -b BYTES        length of a message (64)\n"
    "  -m MESSAGES     messages a connection, one after the other (1)\n"
    "  -t SECONDS      give a connection up after so many seconds (10)\n"
    "  -s SEED         seed of the random bytes and distances (taken from the system)\n"
    "  -P PID          measure the CPU time of this process and its descendants\n"
    "  -l FILE         write all latencies to FILE, sorted, in µs\n"
    "  -L              messages are lines: printable bytes that a newline ends\n"
    "  -T              print tab-separated values, and show no progress\n"
    "  -h, --help      print this\n"
    "Latency counts until the last byte is back: in a closed loop from connect, in\n"
    "an open loop from when the connection was due. Exits 1 when anything was lost,\n"
    "2 after a mistake in its arguments.\n";

static int64_t number(int option, int64_t low, int64_t high)
{
    return option_number(option, NULL, low, high, usage);
}

static double decimal(int option, double low, double high, const char *what)
{
    char *end = optarg;
    double value = 0;

    /* Digits and a point: strtod(3) would also take "inf", "0x10" and " 5". */
    if (strspn(optarg, "0123456789.") == strlen(optarg))
        value = strtod(optarg, &end);
    if (end != optarg && *end == '\0' && value >= low && value <= high)
        return value;
    warnx("-%c %s: not a number of %s from %.10g to %.10g", option, optarg, what, low, high);
    usage_mistake(usage);
}

static struct addrinfo *parse_target(const char *address, int port)
{
    char service[16];
    struct addrinfo *target;
    const struct addrinfo wanted = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
    };

    snprintf(service, sizeof(service), "%d", port);
    if (!address_valid(address) || getaddrinfo(address, service, &wanted, &target) != 0) {
        warnx("-a %s: not an IP address (such as 127.0.0.1 or ::1)", address);
        usage_mistake(usage);
    }
    return target;
}

/* Sees to it that the connections can be had at once. The spares need not be, nor the bound of an
 * open loop where the user has named none. */
static void allow_descriptors(struct options *options, bool named)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
        err(EXIT_FAILURE, "getrlimit");
    rlim_t wanted = (rlim_t)options->at_once + SPARES + OTHER_FILES;
    if (limit.rlim_cur < wanted) {
        limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
        if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
            err(EXIT_FAILURE, "setrlimit");
    }

    int64_t room = (int64_t)(limit.rlim_cur < wanted ? limit.rlim_cur : wanted) - OTHER_FILES;
    if (room < options->at_once && options->rate > 0 && !named && room > SPARES)
        options->at_once = room - SPARES;
    if (room < options->at_once)
        errx(EXIT_FAILURE, "%" PRId64 " %s: this process may open only %ju descriptors",
             options->at_once, options->rate > 0 ? "connections at once" : "clients",
             (uintmax_t)limit.rlim_max);
    options->spares = room - options->at_once;
}

struct options options_parse(int argc, char **argv)
{
    static const struct option long_options[] = {{"rate", required_argument, NULL, 'r'},
                                                 {"fixed", no_argument, NULL, 'f'},
                                                 {"help", no_argument, NULL, 'h'},
                                                 {0}};
    struct options options = {
        .address = "127.0.0.1",
        .port = 8083,
        .connections = 10000,
        .seconds = 30,
        .bytes = 64,
        .messages = 1,
        .timeout = 10,
    };
    int option;

    if (getrandom(&options.seed, sizeof(options.seed), 0) == -1)
        err(EXIT_FAILURE, "getrandom");
    argv[0] = program_invocation_short_name; /* by which getopt's messages begin */
    while ((option = getopt_long(argc, argv, "a:p:r:fc:w:n:d:b:m:t:s:P:l:LTh", long_options,
                                 NULL)) != -1) {
        switch (option) {
        case 'a':
            options.address = optarg;
            break;
        case 'p':
            options.port = (int)number(option, 1, 65535);
            break;
        case 'r':
            options.rate = decimal(option, 0.001, 1000000, "connections a second");
            break;
        case 'f':
            options.fixed = true;
            break;
        case 'c':
            options.at_once = number(option, 1, 100000);
            break;
        case 'w':
            options.wait = (int64_t)(decimal(option, 0, 60000, "milliseconds") * 1e6);
            break;
        case 'n':
            options.connections = number(option, 1, 100000000);
            break;
        case 'd':
            options.seconds = number(option, 1, 3600);
            break;
        case 'b':
            options.bytes = number(option, 1, 1 << 30);
            break;
        case 'm':
            options.messages = number(option, 1, 1000000);
            break;
        case 't':
            options.timeout = number(option, 1, 3600);
            break;
        case 's':
            options.seed = (uint64_t)number(option, 0, INT64_MAX);
            break;
        case 'P':
            options.server = (pid_t)number(option, 1, INT32_MAX);
            break;
        case 'l':
            options.latencies = optarg;
            break;
        case 'L':
            options.lines = true;
            break;
        case 'T':
            options.table = true;
            break;
        case 'h':
            usage_help(usage);
        default: /* getopt has said what is wrong */
            usage_mistake(usage);
        }
    }
    expect_no_more_arguments(argc, argv, usage);
    if (options.fixed && options.rate == 0) {
        warnx("-f: only with -r, which it spaces evenly");
        usage_mistake(usage);
    }
    if (options.wait > 0 && options.rate > 0) {
        warnx("-w: not with -r, which says itself when connections start");
        usage_mistake(usage);
    }

    bool named = options.at_once != 0;
    if (!named)
        options.at_once = options.rate > 0 ? BOUND : CLIENTS;
    options.target = parse_target(options.address, options.port);
    allow_descriptors(&options, named);
    return options;
}
