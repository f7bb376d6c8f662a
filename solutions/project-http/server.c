/*
 * An HTTP/1.1 server on the pool of chapter 4: files of a folder, for GET and HEAD.
 *
 *     server [-a ADDR] [-p PORT] [-v] [-r ROOT] [-t SECONDS] [WORKERS]
 *
 * The pool hands each connection to a worker, and there it stays until it ends (http.c), with as
 * many requests as come through it. Each request asks for a file (file.c).
 */
#include "arguments.h"
#include "cmdline.h"
#include "file.h"
#include "http.h"
#include "listener.h"
#include "log.h"
#include "output.h"
#include "pool.h"
#include "process.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SECONDS_MAX = 3600 };

struct server {
    struct cmdline cmdline;
    int listener;
};

static struct http_config http; /* each worker has a copy */

static void ready(void *context)
{
    const struct server *server = context;

    cmdline_announce(&server->cmdline, server->listener);
}

static int serve(int connection)
{
    return http_serve(connection, &http);
}

static int start(int channel, void *context)
{
    (void)context;
    /* sendfile(2) knows no MSG_NOSIGNAL: a client that has gone is to be an error like another. */
    signal(SIGPIPE, SIG_IGN);
    int result = pool_work(channel, serve);
    if (result == -1)
        log_line("a worker cannot receive a connection: %s", strerror(errno));
    close(channel);
    return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static struct cmdline choose(int argc, char **argv)
{
    struct cmdline_option options[] = {
        {.letter = 'r',
         .argument = "ROOT",
         .help = "  -r ROOT     serve the files of this folder (.)\n",
         .value = "."},
        {.letter = 't',
         .argument = "SECONDS",
         .help = "  -t SECONDS  wait so long for a request, and for a client that takes no bytes "
                 "(10)\n",
         .value = "10"},
        {0},
    };
    struct cmdline cmdline = cmdline_parse_with(argc, argv, options);
    int64_t seconds;

    if (!parse_number(options[1].value, 1, SECONDS_MAX, &seconds)) {
        log_line("-t %s: not a number of seconds (1 to %d)", options[1].value, SECONDS_MAX);
        exit(EXIT_USAGE);
    }
    http.root = root_open(options[0].value);
    if (http.root == -1)
        log_failure("cannot serve files of %s", options[0].value);
    http.patience_ms = (int)seconds * 1000;
    http.verbose = cmdline.verbose;
    return cmdline;
}

int main(int argc, char **argv)
{
    output_begin();
    struct server server = {.cmdline = choose(argc, argv)};
    const struct cmdline *cmdline = &server.cmdline;
    int stop = signals_open(SIGTERM, SIGINT, 0);
    if (stop == -1)
        log_failure("signalfd");
    server.listener = listener_open(cmdline->address, cmdline->port);
    if (server.listener == -1)
        log_failure("cannot listen on %s port %d", cmdline->address, cmdline->port);

    const struct pool_config config = {
        .listener = server.listener,
        .stop = stop,
        .workers = cmdline->workers,
        .verbose = cmdline->verbose,
        .context = &server,
        .ready = ready,
        .start = start,
    };
    return pool_run(&config) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
