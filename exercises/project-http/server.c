/*
 * An HTTP/1.1 server on the pool of chapter 4: to be built. README.md says what it must do.
 *
 *     server [-a ADDR] [-p PORT] [-v] [-r ROOT] [-t SECONDS] [WORKERS]
 *
 * What is here takes the command line, starts the pool, and answers whatever comes with 501. A
 * worker calls `serve` with a connection and closes it when that returns: begin there. Further
 * files are welcome: every .c in this folder is compiled, with chapter 4's pool, common/ and llhttp
 * beside it.
 */
#include "arguments.h"
#include "cmdline.h"
#include "listener.h"
#include "log.h"
#include "output.h"
#include "pool.h"
#include "process.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SECONDS_MAX = 3600 };

struct server {
    struct cmdline cmdline;
    int listener;
};

static const char *root; /* -r: the folder whose files are served */
static int64_t patience; /* -t: seconds that a client may keep a worker waiting */

static void ready(void *context)
{
    const struct server *server = context;

    cmdline_announce(&server->cmdline, server->listener);
}

static int serve(int connection)
{
    static const char reply[] = "HTTP/1.1 501 Not Implemented\r\n"
                                "Content-Length: 0\r\n"
                                "Connection: close\r\n\r\n";
    char bytes[4096];

    if (recv(connection, bytes, sizeof(bytes), 0) <= 0)
        return -1;
    return send(connection, reply, sizeof(reply) - 1, MSG_NOSIGNAL) == -1 ? -1 : 0;
}

/* In each new process. */
static int start(int channel, void *context)
{
    (void)context;
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

    if (!parse_number(options[1].value, 1, SECONDS_MAX, &patience)) {
        log_line("-t %s: not a number of seconds (1 to %d)", options[1].value, SECONDS_MAX);
        exit(EXIT_USAGE);
    }
    root = options[0].value;
    if (access(root, R_OK | X_OK) == -1)
        log_failure("cannot serve files of %s", root);
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
