/*
 * Workers that accept, each from a listener of its own, all on one port (SO_REUSEPORT).
 *
 * To see: when a worker is killed, clients are lost that it had not even accepted.
 */
#include "cmdline.h"
#include "echo.h"
#include "listener.h"
#include "log.h"
#include "output.h"
#include "process.h"
#include "workers.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { GRACE_MS = 500, MOMENT_MS = 100 };

static struct cmdline cmdline;
static struct workers *places;
static int port, stop; /* port: a socket that keeps it */

/* ---- a worker ---- */

/* Serves one connection after the other, until a signal ends it. */
static _Noreturn void work(int listener)
{
    for (;;) {
        int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (connection == -1) { /* nobody any more, or out of something: in a moment again */
            poll(NULL, 0, MOMENT_MS);
            continue;
        }
        if (cmdline.verbose)
            log_line("worker %d accepts descriptor %d", (int)getpid(), connection);
        echo(connection); /* a connection that broke is the client's affair */
        close(connection);
    }
}

/* ---- the master ---- */

static int listener_make(void)
{
    int listener = listener_open_shared(cmdline.address, local_port(port));

    if (listener == -1)
        log_failure("cannot open a listener for each worker");
    fcntl(listener, F_SETFL, 0); /* workers wait in accept */
    return listener;
}

static void fill_places(void)
{
    int place;

    while ((place = workers_vacant(places)) != -1) {
        int listener = listener_make();

        if (workers_start(places, place) == 0) {
            close(stop);
            close(port);
            work(listener);
        }
        close(listener); /* the worker has it */
    }
}

/* Keeps all places filled until a signal asks it to stop. */
static void supervise(void)
{
    struct pollfd news[] = {{.fd = stop, .events = POLLIN},
                            {.fd = workers_descriptor(places), .events = POLLIN}};
    int status;
    pid_t pid;

    while (!(news[0].revents & POLLIN)) {
        fill_places();
        poll(news, 2, workers_timeout(places));
        while (workers_reap(places, &pid, &status) != -1)
            if (cmdline.verbose)
                log_line("worker %d is lost", (int)pid);
    }
}

int main(int argc, char **argv)
{
    output_begin();
    cmdline = cmdline_parse(argc, argv, false);
    stop = signals_open(SIGTERM, SIGINT, 0);
    port = port_reserve(cmdline.address, cmdline.port);
    if (stop == -1 || port == -1)
        log_failure("cannot listen on %s port %d", cmdline.address, cmdline.port);
    places = workers_open(cmdline.workers);
    if (!places)
        log_failure("no workers");

    fill_places();
    cmdline_announce(&cmdline, port);
    supervise();
    for (int i = 0; i < cmdline.workers; i++)
        if (workers_pid(places, i) != 0)
            kill(workers_pid(places, i), SIGTERM);
    workers_close(places, GRACE_MS);
    return EXIT_SUCCESS;
}
