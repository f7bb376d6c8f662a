/*
 * server [-a ADDR] [-p PORT] [-v] -w PROGRAM [WORKERS]
 *
 * A server whose workers are another program, as in chapter 5, with a small pool of its own: a
 * worker that ends is replaced. On SIGHUP it replaces all of them, each as soon as it serves
 * nobody, by new processes of PROGRAM, which may be another file by then.
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
#include <sys/wait.h>
#include <unistd.h>

struct worker {
    enum { STARTING, IDLE, BUSY } state;
    pid_t pid;
    int channel; /* the master's end */
    bool old;    /* to be replaced as soon as it is idle */
};

static struct cmdline cmdline;
static int listener, signals;
static struct worker *workers; /* cmdline.workers of them */
static int idle;               /* how many are */
static int connection = -1;    /* accepted but not yet handed over */

/* Starts a worker in this place, in which none lives. */
static void worker_start(struct worker *worker)
{
    int channel[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) == -1)
        err(EXIT_FAILURE, "socketpair");
    pid_t pid = fork_child();
    if (pid == -1)
        err(EXIT_FAILURE, "fork");
    if (pid == 0) {
        dup2(channel[1], STDIN_FILENO); /* the copy is not close-on-exec */
        execl(cmdline.program, cmdline.program, (char *)NULL);
        pool_cannot_start(channel[1], errno);
        _exit(EXIT_FAILURE);
    }
    close(channel[1]);
    *worker = (struct worker){.state = STARTING, .pid = pid, .channel = channel[0]};
}

/* Ends a worker if it has not ended by itself, and starts another in its place. What it serves is
 * lost. */
static void worker_replace(struct worker *worker)
{
    if (worker->state == IDLE)
        idle--;
    close(worker->channel);
    kill(worker->pid, SIGKILL);
    waitpid(worker->pid, NULL, 0);
    worker_start(worker);
}

/* Whether a worker could be started now. If not, an old one is better than none. */
static bool can_start(void)
{
    if (access(cmdline.program, X_OK) == 0)
        return true;
    warn("workers stay as they are: %s", cmdline.program);
    return false;
}

/* Reads what the worker has sent, as pool.h says. */
static void worker_report(struct worker *worker)
{
    unsigned char report;
    ssize_t count = read(worker->channel, &report, 1);

    if (count == 1 && report == 0 && worker->old && can_start()) {
        worker_replace(worker);
    } else if (count == 1 && report == 0) {
        worker->state = IDLE;
        idle++;
    } else if (count == 1) {
        errx(EXIT_FAILURE, "a worker cannot start: %s", strerror(report));
    } else if (worker->state == STARTING) {
        errx(EXIT_FAILURE, "a worker ended before it was idle");
    } else {
        if (worker->state == IDLE) /* perhaps the next one does the same: not in a fast loop */
            poll(NULL, 0, 100);
        worker_replace(worker);
    }
}

/* Has every worker replaced: those that are idle now, the others when they are. */
static void reload(void)
{
    if (!can_start())
        return;
    for (int i = 0; i < cmdline.workers; i++) {
        if (workers[i].state == IDLE)
            worker_replace(&workers[i]);
        else
            workers[i].old = true;
    }
}

static void accept_connection(void)
{
    connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (connection == -1) /* the client has gone, or there are no descriptors: not in a fast loop */
        poll(NULL, 0, 100);
}

/* Hands the connection to an idle worker. If that has just died, to the next. */
static void hand_over(void)
{
    for (struct worker *worker = workers; idle > 0; worker++) {
        if (worker->state != IDLE)
            continue;
        if (write_fd(worker->channel, "", 1, connection) == 0) {
            if (cmdline.verbose)
                warnx("descriptor %d goes to worker %d", connection, (int)worker->pid);
            worker->state = BUSY;
            idle--;
            close(connection);
            connection = -1;
            return;
        }
        worker_replace(worker);
    }
}

/* Serves until a signal asks it to stop. */
static void serve(void)
{
    size_t count = (size_t)cmdline.workers;
    struct pollfd *watched = calloc(2 + count, sizeof(*watched));
    bool ready = false;

    if (!watched)
        err(EXIT_FAILURE, "memory");
    for (;;) {
        watched[0] = (struct pollfd){.fd = signals, .events = POLLIN};
        watched[1] = (struct pollfd){.fd = -1, .events = POLLIN};
        if (ready && idle > 0 && connection == -1)
            watched[1].fd = listener;
        for (size_t i = 0; i < count; i++)
            watched[2 + i] = (struct pollfd){.fd = workers[i].channel, .events = POLLIN};
        if (poll(watched, 2 + count, -1) == -1)
            err(EXIT_FAILURE, "poll");

        for (size_t i = 0; i < count; i++)
            if (watched[2 + i].revents)
                worker_report(&workers[i]);
        if (watched[0].revents) {
            int received = signals_next(signals);
            if (received == SIGTERM || received == SIGINT)
                break;
            if (received == SIGHUP)
                reload();
        }
        if (watched[1].revents && idle > 0)
            accept_connection();
        if (connection != -1)
            hand_over();
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
    signals = signals_open(SIGTERM, SIGINT, SIGHUP, 0);
    listener = listener_open(cmdline.address, cmdline.port);
    if (signals == -1 || listener == -1)
        err(EXIT_FAILURE, "cannot listen on %s port %d", cmdline.address, cmdline.port);
    workers = calloc((size_t)cmdline.workers, sizeof(*workers));
    if (!workers)
        err(EXIT_FAILURE, "memory");

    for (int i = 0; i < cmdline.workers; i++)
        worker_start(&workers[i]);
    serve();
    free(workers);
    return EXIT_SUCCESS; /* the workers end with their parent: see fork_child */
}
