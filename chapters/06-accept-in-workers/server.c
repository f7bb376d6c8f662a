/*
 * Chapter 6: workers that accept themselves, in one of five ways.
 *
 * The master listens, starts the workers and replaces those that die; it sees no connection. How a
 * worker waits for one is the lesson, and stands in ways.c; -m chooses.
 */
#include "cmdline.h"
#include "echo.h"
#include "listener.h"
#include "log.h"
#include "output.h"
#include "process.h"
#include "ways.h"
#include "workers.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GRACE_MS = 500, MOMENT_MS = 100 };

/* What master and workers share: there is no channel on which a worker could report. */
struct board {
    pthread_mutex_t lock; /* for the way that has one */
    int64_t no_accept;    /* when that last failed, for series_begins */
    atomic_bool proved[]; /* by place: its worker has served a connection */
};

static struct cmdline cmdline;
static const struct way *way;
static struct workers *places;
static struct board *board;
static int stop;
static int entrance;     /* the listener that all share; or what keeps the port for those of each */
static int64_t no_start; /* when that last failed */
static bool ready;

/* ---- a worker ---- */

/* Serves one connection after the other, until a signal ends it. */
static _Noreturn void work(const struct gate *gate, int place)
{
    for (;;) {
        int connection = way->next(gate);
        if (connection != -1) {
            if (cmdline.verbose)
                log_line("worker %d accepts descriptor %d", (int)getpid(), connection);
            echo(connection); /* a connection that broke is the client's affair */
            close(connection);
            board->proved[place] = true;
        } else if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
            /* The connection stays in the backlog. Said once for all workers. */
            if (series_begins(&board->no_accept))
                log_line("cannot accept: %s; clients wait", strerror(errno));
            poll(NULL, 0, MOMENT_MS);
        }
    }
}

/* ---- the master ---- */

static int gate_open(struct gate *gate)
{
    *gate = (struct gate){.listener = entrance, .epoll = -1, .lock = &board->lock};
    if (way->own_listener)
        gate->listener = listener_open_shared(cmdline.address, local_port(entrance));
    if (gate->listener == -1)
        return -1;
    if (way->blocks)
        fcntl(gate->listener, F_SETFL, 0);
    return way->open ? way->open(gate) : 0;
}

static void gate_close(const struct gate *gate)
{
    if (way->own_listener)
        close(gate->listener);
    if (gate->epoll != -1)
        close(gate->epoll);
}

/* Starts a worker in a vacant place. Returns -1 with errno, and then the place is put off. */
static int worker_start(int place)
{
    struct gate gate;

    if (gate_open(&gate) == -1) {
        workers_put_off(places, place);
        return -1;
    }
    board->proved[place] = false;
    pid_t pid = workers_start(places, place);
    if (pid == 0) {
        close(stop);
        if (way->own_listener)
            close(entrance);
        work(&gate, place);
    }
    int error = errno;
    gate_close(&gate);
    errno = error;
    return pid == -1 ? -1 : 0;
}

/* Returns false when there cannot be the workers with which to begin. */
static bool fill_places(void)
{
    int place;

    while ((place = workers_vacant(places)) != -1) {
        if (worker_start(place) == 0)
            continue;
        if (!ready) {
            log_line("-m %s: cannot start worker %d of %d: %s", way->name, place + 1,
                     cmdline.workers, strerror(errno));
            return false;
        }
        if (series_begins(&no_start))
            log_line("cannot start a worker: %s; will try again", strerror(errno));
    }
    return true;
}

static void find_dead(void)
{
    pid_t pid;
    int status, place;

    while ((place = workers_reap(places, &pid, &status)) != -1) {
        if (board->proved[place])
            workers_proved(places, place);
        if (cmdline.verbose && WIFSIGNALED(status))
            log_line("worker %d died of signal %d (%s)", (int)pid, WTERMSIG(status),
                     strsignal(WTERMSIG(status)));
        else if (cmdline.verbose)
            log_line("worker %d ended with status %d", (int)pid, WEXITSTATUS(status));
    }
}

/* Keeps all places filled until a signal asks it to stop. Returns false if it cannot begin. */
static bool supervise(void)
{
    struct pollfd news[] = {{.fd = stop, .events = POLLIN},
                            {.fd = workers_descriptor(places), .events = POLLIN}};

    while (fill_places()) {
        if (!ready)
            cmdline_announce(&cmdline, entrance);
        ready = true;
        if (poll(news, 2, workers_timeout(places)) == -1)
            poll(NULL, 0, MOMENT_MS); /* out of memory: in a moment again */
        else if (news[0].revents)
            return true;
        else if (news[1].revents)
            find_dead();
    }
    return false;
}

static void open_all(void)
{
    size_t size = sizeof(*board) + (size_t)cmdline.workers * sizeof(board->proved[0]);

    stop = signals_open(SIGTERM, SIGINT, 0);
    if (stop == -1)
        log_failure("signalfd");
    entrance = way->own_listener ? port_reserve(cmdline.address, cmdline.port)
                                 : listener_open(cmdline.address, cmdline.port);
    if (entrance == -1)
        log_failure("cannot listen on %s port %d", cmdline.address, cmdline.port);
    board = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (board == MAP_FAILED)
        log_failure("mmap");
    lock_make(&board->lock);
    places = workers_open(cmdline.workers);
    if (!places && errno != EXDEV)
        log_failure("cannot look after workers");
    if (!places) {
        log_line("%s", children_impossible());
        exit(EXIT_FAILURE);
    }
    workers_watch(places); /* if that cannot be, deaths are seen by SIGCHLD alone */
}

int main(int argc, char **argv)
{
    const char *names[8] = {NULL};
    struct cmdline_option options[] = {
        {.letter = 'm',
         .argument = "MODE",
         .help = "  -m MODE     how workers wait: accept, lock, select, epoll, or reuseport\n"
                 "              (accept)\n",
         .values = names,
         .value = ways[0].name},
        {0},
    };

    output_begin();
    for (int i = 0; ways[i].name; i++)
        names[i] = ways[i].name;
    cmdline = cmdline_parse_with(argc, argv, options);
    for (way = ways; strcmp(way->name, options[0].value) != 0; way++)
        continue;
    open_all();

    wait_for_the_cpu();
    bool begun = supervise();
    for (int i = 0; i < cmdline.workers; i++)
        if (workers_pid(places, i) != 0)
            kill(workers_pid(places, i), SIGTERM);
    workers_close(places, GRACE_MS);
    return begun ? EXIT_SUCCESS : EXIT_FAILURE;
}
