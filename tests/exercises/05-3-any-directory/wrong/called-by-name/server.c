/*
 * The server of chapter 5, which finds its worker wherever it is started.
 */
#include "cmdline.h"
#include "listener.h"
#include "pool.h"
#include "process.h"

#include <err.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
    execv(cmdline.program, arguments);
    pool_cannot_start(channel, errno);
    close(channel);
    return EXIT_FAILURE;
}

/* The worker lies next to this program, whatever the current directory is. */
static const char *own_worker(void)
{
    static char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s", program_invocation_name);

    char *slash = strrchr(path, '/');
    strcpy(slash ? slash + 1 : path, "worker");
    return path;
}

int main(int argc, char **argv)
{
    cmdline = cmdline_parse(argc, argv, true);
    if (!cmdline.program)
        cmdline.program = own_worker();
    if (access(cmdline.program, X_OK) == -1)
        err(EXIT_FAILURE, "cannot run worker %s", cmdline.program);
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
