/*
 * Chapter 7: workers that all read one queue.
 *
 * An acceptor puts each connection into it, and the kernel gives it to the worker that has waited
 * longest: queue.h. Who starts and replaces them all sees no connection. The workers are copies of
 * this program, or with -w another one. With -m connections travel in another way: travel.h.
 */
#include "cmdline.h"
#include "echo.h"
#include "listener.h"
#include "log.h"
#include "output.h"
#include "process.h"
#include "queue.h"
#include "travel.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct server {
    struct cmdline cmdline;
    const struct travel *travel;
    int listener;
};

static struct server server;

static void ready(void *context)
{
    (void)context;
    cmdline_announce(&server.cmdline, server.listener);
}

static int serve(int connection)
{
    if (server.cmdline.verbose)
        log_line("worker %d takes descriptor %d", (int)getpid(), connection);
    return echo(connection);
}

static int start(int queue, void *context)
{
    (void)context;
    if (server.cmdline.program) {
        char *const arguments[] = {(char *)server.cmdline.program, NULL};
        dup2(queue, STDIN_FILENO); /* the copy is not close-on-exec */
        execv(server.cmdline.program, arguments);
        queue_cannot_start(queue, errno);
        close(queue);
        return EXIT_FAILURE;
    }
    int result = server.travel->work(queue, serve);
    if (result == -1)
        log_line("a worker cannot take a connection: %s", strerror(errno));
    close(queue);
    return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* A program that is given by its name alone lies beside this one, whatever the current directory.
 */
static const char *beside_this(const char *name)
{
    static char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

    if (strchr(name, '/'))
        return name;
    if (length == -1)
        log_failure("/proc/self/exe");
    path[length] = '\0';
    char *last = strrchr(path, '/') + 1;
    snprintf(last, sizeof(path) - (size_t)(last - path), "%s", name);
    return path;
}

static void choose(int argc, char **argv)
{
    const char *names[4] = {NULL};
    struct cmdline_option options[] = {
        {.letter = 'm',
         .argument = "MODE",
         .help = "  -m MODE     how connections travel: rights, epoll, or pidfd (rights)\n",
         .values = names,
         .value = travels[0].name},
        {.letter = 'w',
         .argument = "PROGRAM",
         .help = "  -w PROGRAM  the workers' program, with -m rights; a name without a slash\n"
                 "              lies beside this program (copies of this program)\n"},
        CMDLINE_START,
        {0},
    };

    for (int i = 0; travels[i].name; i++)
        names[i] = travels[i].name;
    server.cmdline = cmdline_parse_with(argc, argv, options);
    for (server.travel = travels; strcmp(server.travel->name, options[0].value) != 0;)
        server.travel++;
    server.cmdline.start_ms = 1000 * options[2].number;
    if (!options[1].value)
        return;
    if (server.travel != travels) {
        log_line("-w PROGRAM: a program knows -m %s only", travels[0].name);
        exit(2);
    }
    server.cmdline.program = beside_this(options[1].value);
    if (access(server.cmdline.program, X_OK) == -1)
        log_failure("cannot run worker %s", server.cmdline.program);
}

int main(int argc, char **argv)
{
    output_begin();
    choose(argc, argv);
    const struct cmdline *cmdline = &server.cmdline;
    int stop = signals_open(SIGTERM, SIGINT, 0);
    if (stop == -1)
        log_failure("signalfd");
    server.listener = listener_open(cmdline->address, cmdline->port);
    if (server.listener == -1)
        log_failure("cannot listen on %s port %d", cmdline->address, cmdline->port);
    if (server.travel->open && server.travel->open() == -1)
        log_failure("-m %s: a process may not take descriptors out of another",
                    server.travel->name);

    const struct pool_config config = {
        .listener = server.listener,
        .stop = stop,
        .workers = cmdline->workers,
        .verbose = cmdline->verbose,
        .start_ms = cmdline->start_ms,
        .ready = ready,
        .start = start,
    };
    return queue_run(&config, server.travel->way) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
