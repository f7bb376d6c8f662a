/*
 * The server of chapter 5, which looks for its worker in the wrong place.
 *
 * To see: it starts from the folder in which it lies, and from no other.
 */
#include "cmdline.h"
#include "listener.h"
#include "pool.h"
#include "process.h"

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static struct cmdline cmdline;
static int listener;

static void ready(void)
{
    cmdline_announce(&cmdline, listener);
}

/* The new process replaces its program: all that is close-on-exec stays behind. */
static int start(int channel)
{
    char *const arguments[] = {(char *)cmdline.program, NULL};

    dup2(channel, STDIN_FILENO); /* the copy is not close-on-exec */
    execvp(cmdline.program, arguments);
    pool_cannot_start(channel, errno);
    close(channel);
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    cmdline = cmdline_parse(argc, argv, true);
    if (!cmdline.program)
        cmdline.program = "worker";
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
