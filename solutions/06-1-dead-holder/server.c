/*
 * Workers that accept in turn: whose turn it is holds a lock in memory that all of them share.
 */
#include "cmdline.h"
#include "echo.h"
#include "listener.h"
#include "log.h"
#include "output.h"
#include "process.h"
#include "workers.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { GRACE_MS = 500, MOMENT_MS = 100 };

static struct cmdline cmdline;
static struct workers *places;
static int listener, stop;
static pthread_mutex_t *turn; /* held by the worker that waits in accept */

/* ---- the lock ---- */

static void turn_make(void)
{
    pthread_mutexattr_t attributes;

    turn = mmap(NULL, sizeof(pthread_mutex_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                -1, 0);
    if (turn == MAP_FAILED)
        log_failure("mmap");
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(turn, &attributes);
    pthread_mutexattr_destroy(&attributes);
}

static void turn_take(void)
{
    int error = pthread_mutex_lock(turn);

    if (error == EOWNERDEAD) /* we have it: its holder was killed, and left nothing half done */
        error = pthread_mutex_consistent(turn);
    if (error != 0) {
        log_line("worker %d cannot have its turn: %s", (int)getpid(), strerror(error));
        _exit(EXIT_FAILURE);
    }
}

static void turn_give(void)
{
    pthread_mutex_unlock(turn);
}

/* ---- a worker ---- */

/* Serves one connection after the other, until a signal ends it. */
static _Noreturn void work(void)
{
    for (;;) {
        turn_take();
        int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        turn_give();
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

static void fill_places(void)
{
    int place;

    while ((place = workers_vacant(places)) != -1)
        if (workers_start(places, place) == 0) {
            close(stop);
            work();
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
    listener = listener_open(cmdline.address, cmdline.port);
    if (stop == -1 || listener == -1)
        log_failure("cannot listen on %s port %d", cmdline.address, cmdline.port);
    fcntl(listener, F_SETFL, 0); /* workers wait in accept */
    turn_make();
    places = workers_open(cmdline.workers);
    if (!places)
        log_failure("no workers");

    fill_places();
    cmdline_announce(&cmdline, listener);
    supervise();
    for (int i = 0; i < cmdline.workers; i++)
        if (workers_pid(places, i) != 0)
            kill(workers_pid(places, i), SIGTERM);
    workers_close(places, GRACE_MS);
    return EXIT_SUCCESS;
}
