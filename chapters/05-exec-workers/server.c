/*
 * Chapter 5: the pool of chapter 4, with workers that are another program.
 *
 * A worker finds its channel on descriptor 0; of what the master opened it inherits nothing else.
 */
#include "cmdline.h"
#include "listener.h"
#include "log.h"
#include "output.h"
#include "pool.h"
#include "process.h"

#include <errno.h>
#include <limits.h>
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

/* The new process replaces its program: all that is close-on-exec stays behind. */
static int start(int channel, void *context)
{
    const struct server *server = context;
    char *const arguments[] = {(char *)server->cmdline.program, NULL};

    dup2(channel, STDIN_FILENO); /* the copy is not close-on-exec */
    execv(server->cmdline.program, arguments);
    pool_cannot_start(channel, errno);
    close(channel);
    return EXIT_FAILURE;
}

/* The worker lies next to this program, whatever the current directory is. */
static const char *own_worker(void)
{
    static char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - sizeof("worker"));

    if (length == -1)
        log_failure("/proc/self/exe");
    path[length] = '\0';
    strcpy(strrchr(path, '/') + 1, "worker");
    return path;
}

int main(int argc, char **argv)
{
    output_begin();
    struct server server = {.cmdline = cmdline_parse(argc, argv, true)};
    struct cmdline *cmdline = &server.cmdline;
    if (!cmdline->program)
        cmdline->program = own_worker();
    if (access(cmdline->program, X_OK) == -1)
        log_failure("cannot run worker %s", cmdline->program);
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
        .start_ms = cmdline->start_ms,
        .context = &server,
        .ready = ready,
        .start = start,
    };
    return pool_run(&config) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
