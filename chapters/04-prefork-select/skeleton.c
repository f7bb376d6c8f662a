/*
 * A server to begin one's own with: this file, and fdpass, log, process, workers and pool, .c and
 * .h of each. In a folder of its own, `cc *.c -o server` builds it; it is C++ as well.
 *
 *     server [PORT]
 *
 * It tells each client which process serves it, and closes: put your own service into `serve`.
 */
#include "log.h"
#include "pool.h"
#include "process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* In a worker: the service of one connection. It may block, and crash: no other client minds. */
static int serve(int connection)
{
    char reply[64];
    int length = snprintf(reply, sizeof(reply), "process %d serves you\n", (int)getpid());

    return send(connection, reply, (size_t)length, MSG_NOSIGNAL) == length ? 0 : -1;
}

/* In each new process: what a worker has of its own (a database, a log file) it opens here. */
static int start(int channel, void *context)
{
    (void)context;
    return pool_work(channel, serve) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void ready(void *context)
{
    char line[40];
    int length = snprintf(line, sizeof(line), "listening on port %d\n",
                          ntohs(((struct sockaddr_in *)context)->sin_port));

    write_now(STDOUT_FILENO, line, (size_t)length); /* never waits, as nothing in the master may */
}

int main(int argc, char **argv)
{
    struct sockaddr_in address;
    struct pool_config config;
    socklen_t length = sizeof(address);
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int stop = signals_open(SIGTERM, SIGINT, 0);

    if (listener <= STDERR_FILENO || stop == -1) {
        log_line("cannot begin: %s",
                 listener == -1 ? strerror(errno) : "descriptors 0 to 2 must be open");
        return EXIT_FAILURE;
    }
    memset(&address, 0, sizeof(address));
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK); /* INADDR_ANY: for other machines, too */
    address.sin_port = htons((in_port_t)(argc > 1 ? atoi(argv[1]) : 8084));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(listener, (struct sockaddr *)&address, length) == -1 ||
        listen(listener, SOMAXCONN) == -1 ||
        getsockname(listener, (struct sockaddr *)&address, &length) == -1) {
        log_line("cannot listen: %s", strerror(errno));
        return EXIT_FAILURE;
    }

    memset(&config, 0, sizeof(config)); /* what is 0 has its default: pool.h */
    config.listener = listener;
    config.stop = stop;
    config.workers = 8;
    config.context = &address;
    config.ready = ready;
    config.start = start;
    return pool_run(&config) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
