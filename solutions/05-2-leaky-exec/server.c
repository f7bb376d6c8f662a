/*
 * server [-a ADDR] [-p PORT] -w PROGRAM [WORKERS]
 *
 * A server whose workers are another program, as in chapter 5, but without the pool: it starts its
 * workers in a loop. None is replaced: when a worker ends, so does the server. A worker that serves
 * when the master dies goes on to the end of its connection; the others end at once.
 */
#include "cmdline.h"
#include "fdpass.h"
#include "output.h"
#include "pool.h"
#include "process.h"

#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct worker {
    pid_t pid;
    int channel; /* the master's end */
    bool idle;
};

static struct cmdline cmdline;
static struct worker *workers; /* cmdline.workers of them */
static int idle;               /* how many are */

/* Returns a listener, non-blocking: a client may have gone before it is accepted. */
static int open_listener(const char *address, int port)
{
    const struct addrinfo wanted = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *info;
    char service[16];

    snprintf(service, sizeof(service), "%d", port);
    if (getaddrinfo(address, service, &wanted, &info) != 0)
        errx(EXIT_FAILURE, "%s: no such address", address);
    int listener = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener == -1 ||
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) == -1 ||
        bind(listener, info->ai_addr, info->ai_addrlen) == -1 || listen(listener, SOMAXCONN) == -1)
        err(EXIT_FAILURE, "cannot listen on %s port %d", address, port);
    freeaddrinfo(info);
    return listener;
}

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
            /* The kernel is not to kill it with the master: it may be serving. If it is not, it
             * ends by itself, when it reads end-of-file on its channel. */
            prctl(PR_SET_PDEATHSIG, 0);
            dup2(channel[1], STDIN_FILENO); /* the copy is not close-on-exec */
            execl(cmdline.program, cmdline.program, (char *)NULL);
            pool_cannot_start(channel[1], errno);
            _exit(EXIT_FAILURE);
        }
        close(channel[1]);
        workers[i] = (struct worker){.pid = pid, .channel = channel[0]};
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

static void end_workers(void)
{
    for (int i = 0; i < cmdline.workers; i++) {
        kill(workers[i].pid, SIGTERM);
        waitpid(workers[i].pid, NULL, 0);
    }
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
    if (stop == -1)
        err(EXIT_FAILURE, "signalfd");
    int listener = open_listener(cmdline.address, cmdline.port);
    workers = calloc((size_t)cmdline.workers, sizeof(*workers));
    if (!workers)
        err(EXIT_FAILURE, "memory");

    start_workers();
    serve(listener, stop);
    end_workers();
    free(workers);
    return EXIT_SUCCESS;
}
