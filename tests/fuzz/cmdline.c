/*
 * Fuzz target: the command lines of the servers (cmdline_parse) and of load.
 *
 * The first byte chooses the program; the rest is its arguments, one a line or NUL. A command line
 * is either understood, with every value in its documented range, or ends the program with status
 * 0 (-h) or 2. exit and errx are replaced (ld's --wrap), so that the fuzzer lives on; getrlimit, so
 * that there are descriptors enough.
 */
#include "cmdline.h"
#include "listener.h"
#include "options.h"
#include "script.h"

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { MOST_ARGUMENTS = 24, MOST_TEXT = 1024 };

static FILE *null_stream;
static bool parsing;
static jmp_buf parsed;
static int exit_status;

_Noreturn void __real_exit(int status);
_Noreturn void __wrap_exit(int status);
_Noreturn void __wrap_errx(int status, const char *format, ...);

/* Without sanitizers: theirs ask for the stack's limit before they are ready. */
#define UNCHECKED __attribute__((no_sanitize("address", "undefined", "coverage")))

int __real_getrlimit(int resource, struct rlimit *limit);
int __wrap_getrlimit(int resource, struct rlimit *limit);

UNCHECKED int __wrap_getrlimit(int resource, struct rlimit *limit)
{
    if (resource != RLIMIT_NOFILE)
        return __real_getrlimit(resource, limit);
    limit->rlim_cur = limit->rlim_max = 1 << 20;
    return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    null_stream = fopen("/dev/null", "we");
    DEMAND(null_stream);
    return 0;
}

_Noreturn void __wrap_exit(int status)
{
    if (!parsing)
        __real_exit(status);
    exit_status = status;
    longjmp(parsed, 1);
}

_Noreturn void __wrap_errx(int status, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vwarnx(format, arguments);
    va_end(arguments);
    __wrap_exit(status);
}

/* Calls `parse` as a program would that has just begun. Returns -1 when it returned, else the
 * status with which it ended the program. What it prints goes nowhere. */
static int status_of(void (*parse)(int, char **, void *), int argc, char **argv, void *result)
{
    FILE *const real_stdout = stdout, *const real_stderr = stderr;

    stdout = stderr = null_stream; /* libFuzzer and ASan print without these */
    optind = 0;                    /* 0, not 1: glibc's getopt then forgets where it was */
    exit_status = -1;
    parsing = true;
    if (setjmp(parsed) == 0)
        parse(argc, argv, result);
    parsing = false;
    stdout = real_stdout;
    stderr = real_stderr;
    return exit_status;
}

/* ---- the servers ---- */

struct server {
    bool has_program;
    struct cmdline cmdline;
};

static void parse_server(int argc, char **argv, void *result)
{
    struct server *server = result;

    server->cmdline = cmdline_parse(argc, argv, server->has_program);
}

static void fuzz_server(int argc, char **argv, bool has_program)
{
    struct server first = {.has_program = has_program}, again = first;
    struct cmdline *cmdline = &first.cmdline;

    int status = status_of(parse_server, argc, argv, &first);
    if (status != -1) {
        DEMAND(status == 0 || status == 2);
        return;
    }
    DEMAND(address_valid(cmdline->address));
    DEMAND(cmdline->port >= 0 && cmdline->port <= 65535);
    DEMAND(cmdline->workers >= 1 && cmdline->workers <= WORKERS_MAX);
    DEMAND(has_program || !cmdline->program);

    /* Said in full, the same values must be understood the same way. */
    char port[16], workers[16], *full[12] = {argv[0], "-a", (char *)cmdline->address, "-p", port};
    int count = 5;
    snprintf(port, sizeof(port), "%d", cmdline->port);
    snprintf(workers, sizeof(workers), "%d", cmdline->workers);
    if (cmdline->verbose)
        full[count++] = "-v";
    if (cmdline->program) {
        full[count++] = "-w";
        full[count++] = (char *)cmdline->program;
    }
    full[count++] = workers;
    DEMAND(status_of(parse_server, count, full, &again) == -1);
    DEMAND(strcmp(again.cmdline.address, cmdline->address) == 0);
    DEMAND(again.cmdline.port == cmdline->port && again.cmdline.workers == cmdline->workers);
    DEMAND(again.cmdline.verbose == cmdline->verbose);
    DEMAND(again.cmdline.program == cmdline->program);
}

/* ---- load ---- */

static void parse_load(int argc, char **argv, void *result)
{
    *(struct options *)result = options_parse(argc, argv);
}

static bool within(long value, long low, long high)
{
    return value >= low && value <= high;
}

static void fuzz_load(int argc, char **argv)
{
    struct options options = {0};

    int status = status_of(parse_load, argc, argv, &options);
    if (status != -1) {
        DEMAND(status == 0 || status == 2);
        return;
    }
    DEMAND(options.target);
    DEMAND(options.target->ai_family == AF_INET || options.target->ai_family == AF_INET6);
    freeaddrinfo(options.target);
    DEMAND(options.rate >= 0 && options.rate <= 1000000);
    DEMAND(options.rate > 0 || !options.fixed);
    DEMAND(options.wait >= 0 && (options.rate == 0 || options.wait == 0));
    DEMAND(within(options.port, 1, 65535));
    DEMAND(within(options.at_once, 1, 100000));
    DEMAND(within(options.connections, 1, 100000000));
    DEMAND(within(options.seconds, 1, 3600));
    DEMAND(within(options.bytes, 1, 1 << 30));
    DEMAND(within(options.messages, 1, 1000000));
    DEMAND(within(options.timeout, 1, 3600));
    DEMAND(options.server >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct script script = {.next = data, .end = data + size};
    char text[MOST_TEXT + 1], *argv[MOST_ARGUMENTS + 2];
    int argc = 0, open_before = open_descriptors();

    uint8_t which = script_byte(&script);
    size_t length = script_left(&script);
    if (length > MOST_TEXT)
        length = MOST_TEXT;
    memcpy(text, script.next, length);
    text[length] = '\0';
    for (size_t i = 0; i < length; i++)
        if (text[i] == '\n')
            text[i] = '\0';

    argv[argc++] = program_invocation_name;
    for (size_t i = 0; i < length && argc <= MOST_ARGUMENTS; i += strlen(&text[i]) + 1)
        argv[argc++] = &text[i];
    argv[argc] = NULL;

    if (which % 3 == 2)
        fuzz_load(argc, argv);
    else
        fuzz_server(argc, argv, which % 3 == 1);
    DEMAND(open_descriptors() == open_before);
    return 0;
}
