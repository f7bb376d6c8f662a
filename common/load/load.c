/*
 * load: measures an echo server.
 *
 * Each connection connects, sends a message of random bytes, reads it back, compares every byte and
 * closes. In a closed loop so many clients do this again and again, each when its last connection
 * has ended; in an open loop connections start by a schedule, whatever has become of the others.
 * README.md says which of them to believe when. Bounded in count and in time.
 */
#include "cputime.h"
#include "loop.h"
#include "options.h"
#include "report.h"

#include <err.h>
#include <stdlib.h>

static int64_t server_cpu(const struct options *options)
{
    int64_t ns = 0;

    if (options->server != 0 && cputime_tree(options->server, &ns) == -1)
        err(EXIT_LOST, "CPU time of process %d", (int)options->server);
    return ns;
}

int main(int argc, char **argv)
{
    struct options options = options_parse(argc, argv);
    int64_t server_before = server_cpu(&options);
    struct result result = loop_run(&options);
    int64_t server_ns = server_cpu(&options) - server_before;

    if (result.nobody_listens)
        warnx("nobody listens on %s port %ld: start a server first", options.address, options.port);
    samples_sort(&result.latencies);
    samples_sort(&result.late);
    if (options.latencies && report_latencies(&result, options.latencies) == -1)
        err(EXIT_LOST, "%s", options.latencies);
    if (options.table)
        report_table(&options, &result, server_ns);
    else
        report_text(&options, &result, server_ns);

    bool lost = result.outcomes[OK] < result.finished;
    result_free(&result);
    freeaddrinfo(options.target);
    return lost ? EXIT_LOST : EXIT_SUCCESS;
}
