/*
 * A pool of workers that are handed their connections, one at a time.
 *
 * To see: a client that resets its connection can end the worker that serves it; and when a worker
 * dies at the wrong moment, the whole server is gone.
 */
#include "cmdline.h"
#include "fdpass.h"
#include "listener.h"
#include "process.h"

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct worker {
    pid_t pid;
    int channel; /* the master's end; -1 while the place is vacant */
    bool idle;   /* it has said so, and got no connection since */
};

static struct cmdline cmdline;
static int signals, listener = -1;
static struct worker *workers; /* cmdline.workers places */
static int connection = -1;    /* accepted, but not handed over yet */
static bool exhausted;         /* descriptors, memory or processes: try again in a moment */

/* Sends back all that the client sends, until its end-of-file. */
static void serve_client(int client)
{
    char buffer[16 * 1024];
    ssize_t received, sent;

    while ((received = read(client, buffer, sizeof(buffer))) > 0) {
        for (ssize_t done = 0; done < received; done += sent) {
            sent = write(client, buffer + done, (size_t)(received - done));
            if (sent == -1)
                return; /* a connection that broke is the client's affair */
        }
    }
}

/* Sends a connection over a channel, beside one byte: see chapter 3. Returns -1 with errno. */
static int send_connection(int channel, int fd)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec iov = {.iov_base = &(char){0}, .iov_len = 1};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.space,
                             .msg_controllen = sizeof(control.space)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(fd));
    memcpy(CMSG_DATA(header), &fd, sizeof(fd));
    return sendmsg(channel, &message, 0) == -1 ? -1 : 0;
}

/* In the new process: says that it is idle, serves a connection, and again. */
static _Noreturn void worker_begin(int channel)
{
    char byte;
    int handed;

    for (int i = 0; i < cmdline.workers; i++)
        if (workers[i].channel != -1)
            close(workers[i].channel); /* or that worker sees no end-of-file */
    if (connection != -1)
        close(connection);
    if (listener != -1)
        close(listener);
    close(signals);
    signal(SIGPIPE, SIG_IGN); /* fork_child has set it to its default */
    while (write(channel, "", 1) == 1 && read_fd(channel, &byte, 1, &handed) == 1) {
        serve_client(handed);
        close(handed);
    }
    _exit(EXIT_SUCCESS); /* end-of-file: the master has gone */
}

/* Starts a worker in a vacant place. Returns false when there can be none now. */
static bool worker_start(struct worker *worker)
{
    int channel[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) == -1)
        return false;
    pid_t pid = fork_child();
    if (pid == 0) {
        close(channel[0]);
        worker_begin(channel[1]);
    }
    close(channel[1]); /* the worker's alone now: when that ends, ours reads end-of-file */
    if (pid == -1)
        close(channel[0]);
    else
        *worker = (struct worker){.pid = pid, .channel = channel[0]};
    return pid != -1;
}

static void fill_places(void)
{
    for (int i = 0; i < cmdline.workers; i++)
        if (workers[i].channel == -1 && !worker_start(&workers[i]))
            exhausted = true;
}

/* Ends what is left of a worker, reaps it, and leaves its place vacant. */
static void worker_lost(struct worker *worker)
{
    kill(worker->pid, SIGKILL); /* mostly it is dead already; if not, waitpid must not wait */
    waitpid(worker->pid, NULL, 0);
    close(worker->channel);
    *worker = (struct worker){.channel = -1};
}

/* Reads what a worker has sent: a byte says that it is idle, end-of-file that it has ended. */
static void worker_report(struct worker *worker)
{
    char byte;

    if (read(worker->channel, &byte, 1) == 1)
        worker->idle = true;
    else
        worker_lost(worker);
}

static struct worker *idle_worker(void)
{
    for (int i = 0; i < cmdline.workers; i++)
        if (workers[i].idle)
            return &workers[i];
    return NULL;
}

static void accept_connection(void)
{
    connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    /* A client that has gone since select saw it is no error; any other leaves the connection in
     * the backlog, and the listener readable. */
    if (connection == -1 && errno != EAGAIN && errno != ECONNABORTED)
        exhausted = true;
}

/* Hands the connection to an idle worker; if that has just died, to the next. */
static void hand_over(void)
{
    struct worker *worker;

    while ((worker = idle_worker()) != NULL) {
        if (send_connection(worker->channel, connection) == 0) {
            if (cmdline.verbose)
                warnx("descriptor %d goes to worker %d", connection, (int)worker->pid);
            worker->idle = false;
            close(connection); /* the worker has its own; with two, the client sees no end */
            connection = -1;
            return;
        }
        if (errno != EPIPE && errno != ECONNRESET)
            return;
        worker_lost(worker);
        close(connection);
        connection = -1;
        return;
    }
}

/* Waits until there is something to do; only for a moment when something has to be tried again. */
static void wait_readable(fd_set *readable)
{
    struct timeval moment = {.tv_usec = 100000};
    bool briefly = exhausted || connection != -1;
    int highest = listener > signals ? listener : signals;

    FD_ZERO(readable);
    FD_SET(signals, readable);
    if (connection == -1 && !exhausted && idle_worker()) /* else clients wait in the backlog */
        FD_SET(listener, readable);
    for (int i = 0; i < cmdline.workers; i++) {
        if (workers[i].channel == -1)
            continue;
        FD_SET(workers[i].channel, readable);
        if (workers[i].channel > highest)
            highest = workers[i].channel;
    }
    if (select(highest + 1, readable, NULL, NULL, briefly ? &moment : NULL) == -1) {
        if (errno != EINTR)
            err(EXIT_FAILURE, "select");
        FD_ZERO(readable);
    }
    exhausted = false;
}

/* Serves until a signal asks it to stop. */
static void serve(void)
{
    for (;;) {
        fd_set readable;

        fill_places();
        wait_readable(&readable);
        if (FD_ISSET(signals, &readable))
            return;
        if (FD_ISSET(listener, &readable))
            accept_connection();
        if (connection != -1)
            hand_over();
        for (int i = 0; i < cmdline.workers; i++)
            if (workers[i].channel != -1 && FD_ISSET(workers[i].channel, &readable))
                worker_report(&workers[i]);
    }
}

int main(int argc, char **argv)
{
    cmdline = cmdline_parse(argc, argv, false);
    if (cmdline.workers > FD_SETSIZE / 2)
        errx(EXIT_FAILURE, "select cannot watch so many workers; at most %d", FD_SETSIZE / 2);
    workers = calloc((size_t)cmdline.workers, sizeof(*workers));
    signals = signals_open(SIGTERM, SIGINT, 0);
    if (!workers || signals == -1)
        err(EXIT_FAILURE, "cannot start");
    for (int i = 0; i < cmdline.workers; i++)
        workers[i].channel = -1;
    fill_places();
    if (exhausted)
        err(EXIT_FAILURE, "cannot start %d workers", cmdline.workers);
    listener = listener_open(cmdline.address, cmdline.port);
    if (listener == -1)
        err(EXIT_FAILURE, "cannot listen on %s port %d", cmdline.address, cmdline.port);

    cmdline_announce(&cmdline, listener);
    serve();
    return EXIT_SUCCESS; /* the workers end with their master: see fork_child */
}
