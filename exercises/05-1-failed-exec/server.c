/*
 * server [-a ADDR] [-p PORT] -w PROGRAM [WORKERS]
 *
 * A server whose workers are another program, as in chapter 5, but without the pool: it starts its
 * workers in a loop. None is replaced: when a worker ends, so does the server.
 *
 * To see: with a PROGRAM that cannot be run the server says nothing; count its processes.
 */
#include "cmdline.h"
#include "fdpass.h"
#include "listener.h"
#include "output.h"
#include "pool.h"
#include "process.h"

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct worker {
    int channel; /* the master's end */
    bool idle;
};

static struct cmdline cmdline;
static struct worker *workers; /* cmdline.workers of them */
static int idle;               /* how many are */

static void start_workers(void)
{
    for (int i = 0; i < cmdline.workers; i++) {
        int channel[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) == -1)
            err(EXIT_FAILURE, "socketpair");
        pid_t pid = fork_child();
        if (pid == -1)
            err(EXIT_FAILURE, "fork");
        if (pid == 0) {
            dup2(channel[1], STDIN_FILENO); /* the copy is not close-on-exec */
            execl(cmdline.program, cmdline.program, (char *)NULL);
        }
        close(channel[1]);
        workers[i].channel = channel[0];
    }
}

/* Reads what the worker has sent, as pool.h says. */
static void worker_report(struct worker *worker)
{
    unsigned char report;
    ssize_t count = read(worker->channel, &report, 1);

    if (count != 1)
        errx(EXIT_FAILURE, "a worker has ended");
    if (report != 0)
        errx(EXIT_FAILURE, "a worker cannot start: %s", strerror(report));
    worker->idle = true;
    idle++;
}

/* Accepts a connection, and hands it to an idle worker. There is one. */
static void hand_over(int listener)
{
    struct worker *worker = workers;
    int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    if (connection ==
        -1) { /* the client has gone, or there are no descriptors: not in a fast loop */
        poll(NULL, 0, 100);
        return;
    }
    while (!worker->idle)
        worker++;
    if (write_fd(worker->channel, "", 1, connection) == -1)
        err(EXIT_FAILURE, "a worker has ended");
    worker->idle = false;
    idle--;
    close(connection);
}

/* Serves until `stop` is readable. */
static void serve(int listener, int stop)
{
    size_t count = (size_t)cmdline.workers;
    struct pollfd *watched = calloc(2 + count, sizeof(*watched));
    bool ready = false;

    if (!watched)
        err(EXIT_FAILURE, "memory");
    for (;;) {
        watched[0] = (struct pollfd){.fd = stop, .events = POLLIN};
        watched[1] = (struct pollfd){.fd = ready && idle > 0 ? listener : -1, .events = POLLIN};
        for (size_t i = 0; i < count; i++)
            watched[2 + i] = (struct pollfd){.fd = workers[i].channel, .events = POLLIN};
        if (poll(watched, 2 + count, -1) == -1)
            err(EXIT_FAILURE, "poll");

        if (watched[0].revents)
            break;
        for (size_t i = 0; i < count; i++)
            if (watched[2 + i].revents)
                worker_report(&workers[i]);
        if (watched[1].revents)
            hand_over(listener);
        if (!ready && idle == cmdline.workers) {
            ready = true;
            cmdline_announce(&cmdline, listener);
        }
    }
    free(watched);
}

int main(int argc, char **argv)
{
    output_begin();
    cmdline = cmdline_parse(argc, argv, true);
    if (!cmdline.program)
        errx(EXIT_FAILURE, "say with -w which program is the worker");
    int stop = signals_open(SIGTERM, SIGINT, 0);
    int listener = listener_open(cmdline.address, cmdline.port);
    if (stop == -1 || listener == -1)
        err(EXIT_FAILURE, "cannot listen on %s port %d", cmdline.address, cmdline.port);
    workers = calloc((size_t)cmdline.workers, sizeof(*workers));
    if (!workers)
        err(EXIT_FAILURE, "memory");

    start_workers();
    serve(listener, stop);
    free(workers);
    return EXIT_SUCCESS; /* the workers end with their parent: see fork_child */
}
