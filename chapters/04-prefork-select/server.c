/*
 * Chapter 4: a pool of processes, forked before the first client comes.
 *
 * The master accepts a connection and hands it to an idle worker, as a descriptor over a channel.
 * While no worker is idle it accepts none: further clients wait in the listener's backlog.
 */
#include "cmdline.h"
#include "echo.h"
#include "listener.h"
#include "pool.h"
#include "process.h"

#include <err.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static struct cmdline cmdline;
static int listener;

static void ready(void)
{
    cmdline_announce(&cmdline, listener);
}

/* The worker is a copy of this program, and goes on here. */
static int start(int channel)
{
    int result = pool_work(channel, echo);

    if (result == -1)
        warn("a worker cannot receive a connection");
    close(channel);
    return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    cmdline = cmdline_parse(argc, argv, false);
    int stop = signals_open(SIGTERM, SIGINT, 0);
    if (stop == -1)
        err(EXIT_FAILURE, "signalfd");
    listener = listener_open(cmdline.address, cmdline.port);
    if (listener == -1)
        err(EXIT_FAILURE, "cannot listen on %s port %d", cmdline.address, cmdline.port);

    const struct pool_config config = {
        .listener = listener,
        .stop = stop,
        .workers = cmdline.workers,
        .verbose = cmdline.verbose,
        .ready = ready,
        .start = start,
    };
    return pool_run(&config) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
