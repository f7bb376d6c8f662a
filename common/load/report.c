#include "report.h"

#include "terminal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

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

/* A line of the report in words: as printf, and in lines that fit. A number stays with its name. */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    char line[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    print_wrapped(stdout, line);
}

/* For "1 client", "2 clients" */
static const char *plural(int64_t count)
{
    return count == 1 ? "" : "s";
}

static void say_head(const struct options *options, const struct result *result)
{
    char load[64], wait[64] = "";

    if (options->rate > 0)
        snprintf(load, sizeof(load), "open loop, %.10g/s%s", options->rate,
                 options->fixed ? " evenly" : "");
    else
        snprintf(load, sizeof(load), "%" PRId64 NO_BREAK "client%s", options->at_once,
                 plural(options->at_once));
    if (options->wait > 0)
        snprintf(wait, sizeof(wait), " waiting %.10g ms in between", (double)options->wait / 1e6);
    say("%" PRId64 " connection%s to %s port" NO_BREAK "%d: %s%s, %" PRId64 " message%s of %" PRId64
        " byte%s each",
        result->finished, plural(result->finished), options->address, options->port, load, wait,
        options->messages, plural(options->messages), options->bytes, plural(options->bytes));
}

/* How well load itself has kept to the schedule. */
static void say_schedule(const struct options *options, const struct result *result)
{
    say("  %.1f connections/s achieved of %.10g asked for, in %.2f" NO_BREAK
        "s; at most %" PRId64 NO_BREAK "at" NO_BREAK "once",
        achieved(options, result), options->rate, schedule_seconds(result), result->most_at_once);
    say("  started behind schedule by, in µs: p50" NO_BREAK "%.1f, p99" NO_BREAK
        "%.1f, max" NO_BREAK "%.1f",
        us(&result->late, 50), us(&result->late, 99), us(&result->late, 100));
    if (result->held > 0)
        say("  not an open loop all the time: %" PRId64 " had to wait until fewer than %" PRId64
            " were open",
            result->held, options->at_once);
    if (result->unstarted > 0)
        say("  %" PRId64 " more were due, and not started in time", result->unstarted);
}

void report_text(const struct options *options, const struct result *result, int64_t server_ns)
{
    char server[64] = "";

    say_head(options, result);
    const int64_t *ended = result->outcomes;
    say("  %" PRId64 NO_BREAK "ok, %" PRId64 NO_BREAK "refused, %" PRId64 NO_BREAK
        "reset, %" PRId64 NO_BREAK "cut" NO_BREAK "short, %" PRId64 NO_BREAK
        "corrupt, %" PRId64 NO_BREAK "timed" NO_BREAK "out",
        ended[OK], ended[REFUSED], ended[RESET], ended[CUT_SHORT], ended[CORRUPT],
        ended[TIMED_OUT]);
    if (result->failed)
        say("  stopped early: %" PRId64 " more could not be made", unfinished(result));
    if (result->latencies.count == 0)
        return;
    say("  latency in µs: p50" NO_BREAK "%.1f, p90" NO_BREAK "%.1f, p99" NO_BREAK
        "%.1f, p99.9" NO_BREAK "%.1f, max" NO_BREAK "%.1f",
        us(&result->latencies, 50), us(&result->latencies, 90), us(&result->latencies, 99),
        us(&result->latencies, 99.9), us(&result->latencies, 100));
    if (result->outcomes[TIMED_OUT] > 0)
        say("  %" PRId64 " of these timed out, and count with the %" PRId64 NO_BREAK
            "s of -t or more",
            result->outcomes[TIMED_OUT], options->timeout);
    if (options->rate > 0)
        say_schedule(options, result);
    else
        say("  %.0f connections/s for %.2f" NO_BREAK "s", achieved(options, result),
            seconds(result));
    if (server_ns != -1)
        snprintf(server, sizeof(server), ", server" NO_BREAK "%.1f",
                 each(result, (double)server_ns / 1e3));
    say("  CPU in µs a connection: load" NO_BREAK "%.1f%s; load was busy for %.0f" NO_BREAK
        "%% of the time",
        each(result, result->cpu_us), server, result->cpu_us / seconds(result) / 1e4);
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
