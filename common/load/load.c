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
#include "output.h"
#include "report.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>

/* Writes all that has been asked for, and says what went wrong; returns whether anything did. */
static bool report(const struct options *options, const struct result *result, int64_t server_ns)
{
    bool wrong = false;

    if (result->nobody_listens)
        warnx("nobody listens on %s port %d: start a server first", options->address,
              options->port);
    if (options->latencies && report_latencies(result, options->latencies) == -1) {
        warn("%s", options->latencies);
        wrong = true;
    }
    if (options->table)
        report_table(options, result, server_ns);
    else
        report_text(options, result, server_ns);
    output_check();
    if (result->failed) {
        errno = result->error;
        warn("%s", result->failed);
        wrong = true;
    }
    return wrong;
}

int main(int argc, char **argv)
{
    int64_t before = 0, after = 0;

    output_begin();
    struct options options = options_parse(argc, argv);
    if (options.server != 0 && cputime_tree(options.server, &before) == -1)
        err(EXIT_FAILURE, "CPU time of process %d", (int)options.server);
    struct result result = loop_run(&options);
    bool known = options.server != 0, wrong = false;
    if (known && cputime_tree(options.server, &after) == -1) {
        warn("CPU time of process %d", (int)options.server);
        known = false;
        wrong = true;
    }

    samples_sort(&result.latencies);
    samples_sort(&result.late);
    wrong |= report(&options, &result, known ? after - before : -1);
    wrong |= result.outcomes[OK] < result.finished;
    result_free(&result);
    freeaddrinfo(options.target);
    return wrong ? EXIT_FAILURE : EXIT_SUCCESS;
}
