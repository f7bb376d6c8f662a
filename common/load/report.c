#include "report.h"

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
    if (options->rate > 0)
        return (double)result->ok_before_then / schedule_seconds(result);
    return (double)result->outcomes[OK] / seconds(result);
}

static double due(const struct result *result)
{
    return (double)(result->started + result->unstarted) / schedule_seconds(result);
}

void report_table(const struct options *options, const struct result *result, int64_t server_ns)
{
    printf("clients\tbytes\tmessages\tconnections\tok\trefused\treset\tcut_short\tcorrupt"
           "\ttimed_out\tseconds\trate\tp50_us\tp90_us\tp99_us\tp99.9_us\tmax_us\tserver_us"
           "\tload_us%s\n",
           options->rate > 0 ? "\tasked\tdue\tlate_p50_us\tlate_p99_us\tlate_max_us\tat_once"
                               "\theld\tunstarted"
                             : "");
    printf("%ld\t%ld\t%ld\t%ld", options->at_once, options->bytes, options->messages,
           result->finished);
    for (int i = 0; i < OUTCOMES; i++)
        printf("\t%ld", result->outcomes[i]);
    printf("\t%.3f\t%.1f", seconds(result), achieved(options, result));
    for (size_t i = 0; i < PERCENTS; i++)
        printf("\t%.1f", us(&result->latencies, percents[i]));
    if (options->server != 0)
        printf("\t%.2f", each(result, (double)server_ns / 1e3));
    else
        printf("\t-");
    printf("\t%.2f", each(result, result->cpu_us));
    if (options->rate > 0)
        printf("\t%.10g\t%.1f\t%.1f\t%.1f\t%.1f\t%ld\t%ld\t%ld", options->rate, due(result),
               us(&result->late, 50), us(&result->late, 99), us(&result->late, 100),
               result->most_at_once, result->held, result->unstarted);
    putchar('\n');
}

static void print_head(const struct options *options, const struct result *result)
{
    printf("%ld connection%s to %s port %ld: ", result->finished, result->finished == 1 ? "" : "s",
           options->address, options->port);
    if (options->rate > 0)
        printf("open loop, %.10g/s%s", options->rate, options->fixed ? " evenly" : "");
    else
        printf("%ld client%s", options->at_once, options->at_once == 1 ? "" : "s");
    if (options->wait > 0)
        printf(" waiting %.10g ms in between", (double)options->wait / 1e6);
    printf(", %ld message%s of %ld byte%s each\n", options->messages,
           options->messages == 1 ? "" : "s", options->bytes, options->bytes == 1 ? "" : "s");
}

/* How well load itself has kept to the schedule. */
static void print_schedule(const struct options *options, const struct result *result)
{
    printf("  %.1f connections/s achieved of %.10g asked for, in %.2f s; at most %ld at once\n",
           achieved(options, result), options->rate, schedule_seconds(result),
           result->most_at_once);
    printf("  started behind schedule by, in µs: p50 %.1f, p99 %.1f, max %.1f\n",
           us(&result->late, 50), us(&result->late, 99), us(&result->late, 100));
    if (result->held > 0)
        printf("  not an open loop all the time: %ld had to wait until fewer than %ld were open\n",
               result->held, options->at_once);
    if (result->unstarted > 0)
        printf("  %ld more were due, and not started in time\n", result->unstarted);
}

void report_text(const struct options *options, const struct result *result, int64_t server_ns)
{
    print_head(options, result);
    for (int i = 0; i < OUTCOMES; i++)
        printf("%s%ld %s", i == 0 ? "  " : ", ", result->outcomes[i], outcome_names[i]);
    putchar('\n');
    if (result->outcomes[OK] == 0)
        return;
    printf("  latency in µs: p50 %.1f, p90 %.1f, p99 %.1f, p99.9 %.1f, max %.1f\n",
           us(&result->latencies, 50), us(&result->latencies, 90), us(&result->latencies, 99),
           us(&result->latencies, 99.9), us(&result->latencies, 100));
    if (options->rate > 0)
        print_schedule(options, result);
    else
        printf("  %.0f connections/s for %.2f s\n", achieved(options, result), seconds(result));
    printf("  CPU in µs a connection: load %.1f", each(result, result->cpu_us));
    if (options->server != 0)
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
