/*
 * Chapter 4: a pool of processes, forked before the first client comes.
 *
 * The master accepts a connection and hands it to an idle worker, as a descriptor over a channel.
 * While no worker is idle it accepts none: further clients wait in the listener's backlog.
 * The same as onefile.c, with what a library needs beyond it: pool.h, workers.h.
 */
#include "cmdline.h"
#include "echo.h"
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

struct server {
    struct cmdline cmdline;
    int listener;
};

static void ready(void *context)
{
    const struct server *server = context;

    cmdline_announce(&server->cmdline, server->listener);
}

/* The worker is a copy of this program, and goes on here. */
static int start(int channel, void *context)
{
    (void)context;
    int result = pool_work(channel, echo);
    if (result == -1)
        log_line("a worker cannot receive a connection: %s", strerror(errno));
    close(channel);
    return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    output_begin();
    struct server server = {.cmdline = cmdline_parse(argc, argv, false)};
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
