#include "report.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const outcome_names[] = {"ok",        "refused", "reset",
                                            "cut short", "corrupt", "timed out"};
static const double percents[] = {50, 90, 99, 99.9, 100};

enum { PERCENTS = sizeof(percents) / sizeof(*percents) };

static double us(const struct samples *samples, double percent)
{
    return (double)samples_percentile(samples, percent) / 1e3;
}

static double seconds(const struct result *result)
{
    return (double)(result->end - result->begin) / 1e9;
}

static double each(const struct result *result, double total)
{
    return result->finished > 0 ? total / (double)result->finished : 0;
}

/* Of an open loop: the time in which connections were due. */
static double schedule_seconds(const struct result *result)
{
    return (double)(result->due_end - result->begin) / 1e9;
}

/* Connections a second that ended well. In an open loop, while some were due: if the server was
 * behind then, what it caught up with afterwards must not hide it. */
static double achieved(const struct options *options, const struct result *result)
{
    double ok = (double)(options->rate > 0 ? result->ok_before_then : result->outcomes[OK]);
    double time = options->rate > 0 ? schedule_seconds(result) : seconds(result);

    return time > 0 ? ok / time : 0;
}

static double due(const struct result *result)
{
    double time = schedule_seconds(result);

    return time > 0 ? (double)(result->started + result->unstarted) / time : 0;
}

/* What a failure of load's own has cut off. */
static int64_t unfinished(const struct result *result)
{
    return result->started - result->finished;
}

/* A whole number in a table. */
static void print_cell(int64_t number)
{
    printf("\t%" PRId64, number);
}

/* "1 client", "2 clients" */
static void print_count(int64_t count, const char *of)
{
    printf("%" PRId64 " %s%s", count, of, count == 1 ? "" : "s");
}

void report_table(const struct options *options, const struct result *result, int64_t server_ns)
{
    printf("clients\tbytes\tmessages\tconnections\tok\trefused\treset\tcut_short\tcorrupt"
           "\ttimed_out\tunfinished\tseconds\trate\tp50_us\tp90_us\tp99_us\tp99.9_us\tmax_"
           "us\tserver_us"
           "\tload_us%s\n",
           options->rate > 0 ? "\tasked\tdue\tlate_p50_us\tlate_p99_us\tlate_max_us\tat_once"
                               "\theld\tunstarted"
                             : "");
    printf("%" PRId64, options->at_once);
    print_cell(options->bytes);
    print_cell(options->messages);
    print_cell(result->finished);
    for (int i = 0; i < OUTCOMES; i++)
        print_cell(result->outcomes[i]);
    print_cell(unfinished(result));
    printf("\t%.3f\t%.1f", seconds(result), achieved(options, result));
    for (size_t i = 0; i < PERCENTS; i++)
        printf("\t%.1f", us(&result->latencies, percents[i]));
    if (server_ns != -1)
        printf("\t%.2f", each(result, (double)server_ns / 1e3));
    else
        printf("\t-");
    printf("\t%.2f", each(result, result->cpu_us));
    if (options->rate > 0) {
        printf("\t%.10g\t%.1f\t%.1f\t%.1f\t%.1f", options->rate, due(result), us(&result->late, 50),
               us(&result->late, 99), us(&result->late, 100));
        print_cell(result->most_at_once);
        print_cell(result->held);
        print_cell(result->unstarted);
    }
    putchar('\n');
}

static void print_head(const struct options *options, const struct result *result)
{
    print_count(result->finished, "connection");
    printf(" to %s port %d: ", options->address, options->port);
    if (options->rate > 0)
        printf("open loop, %.10g/s%s", options->rate, options->fixed ? " evenly" : "");
    else
        print_count(options->at_once, "client");
    if (options->wait > 0)
        printf(" waiting %.10g ms in between", (double)options->wait / 1e6);
    printf(", ");
    print_count(options->messages, "message");
    printf(" of ");
    print_count(options->bytes, "byte");
    puts(" each");
}

/* How well load itself has kept to the schedule. */
static void print_schedule(const struct options *options, const struct result *result)
{
    printf("  %.1f connections/s achieved of %.10g asked for, in %.2f s; at most %" PRId64
           " at once\n",
           achieved(options, result), options->rate, schedule_seconds(result),
           result->most_at_once);
    printf("  started behind schedule by, in µs: p50 %.1f, p99 %.1f, max %.1f\n",
           us(&result->late, 50), us(&result->late, 99), us(&result->late, 100));
    if (result->held > 0)
        printf("  not an open loop all the time: %" PRId64 " had to wait until fewer than %" PRId64
               " were open\n",
               result->held, options->at_once);
    if (result->unstarted > 0)
        printf("  %" PRId64 " more were due, and not started in time\n", result->unstarted);
}

void report_text(const struct options *options, const struct result *result, int64_t server_ns)
{
    print_head(options, result);
    for (int i = 0; i < OUTCOMES; i++)
        printf("%s%" PRId64 " %s", i == 0 ? "  " : ", ", result->outcomes[i], outcome_names[i]);
    putchar('\n');
    if (result->failed)
        printf("  stopped early: %" PRId64 " more could not be made\n", unfinished(result));
    if (result->latencies.count == 0)
        return;
    printf("  latency in µs: p50 %.1f, p90 %.1f, p99 %.1f, p99.9 %.1f, max %.1f\n",
           us(&result->latencies, 50), us(&result->latencies, 90), us(&result->latencies, 99),
           us(&result->latencies, 99.9), us(&result->latencies, 100));
    if (result->outcomes[TIMED_OUT] > 0)
        printf("  %" PRId64 " of these timed out, and count with the %" PRId64 " s of -t or more\n",
               result->outcomes[TIMED_OUT], options->timeout);
    if (options->rate > 0)
        print_schedule(options, result);
    else
        printf("  %.0f connections/s for %.2f s\n", achieved(options, result), seconds(result));
    printf("  CPU in µs a connection: load %.1f", each(result, result->cpu_us));
    if (server_ns != -1)
        printf(", server %.1f", each(result, (double)server_ns / 1e3));
    printf("; load was busy for %.0f %% of the time\n", result->cpu_us / seconds(result) / 1e4);
}

int report_latencies(const struct result *result, const char *path)
{
    FILE *file = fopen(path, "we");

    if (!file)
        return -1;
    for (size_t i = 0; i < result->latencies.count; i++)
        fprintf(file, "%.3f\n", (double)result->latencies.ns[i] / 1e3);
    return (ferror(file) | fclose(file)) ? -1 : 0;
}
