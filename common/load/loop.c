/*
 * One process with epoll(7), so that it takes little of the machine from the server that it
 * measures.
 *
 * A connection that is over leaves its socket behind for the next: shut down, and when the server
 * has closed its end too, connected again. On the wire that looks like a new socket, down to the
 * TIME_WAIT, but making, watching and freeing one took a fifth of load's time. It goes by
 * connect(2): a TCP socket that is "connected" to AF_UNSPEC is as it was before.
 */
#include "loop.h"

#include "random.h"
#include "schedule.h"
#include "stopwatch.h"
#include "terminal.h"

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
    SOURCES = 250,      /* source addresses, each with ports of its own */
    USES = 1000,        /* connections by one socket: then another address has its turn */
    VARIETY = 4096,     /* places in the random bytes where a message can begin */
    LINES = 256 * 1024, /* bytes of lines to choose from */
    TICK_MS = 100,      /* how often time-outs and the progress bar are looked after */
    EVENTS = 64,        /* handled until it is looked which connections are due */
    STARTS = 16,        /* of these, until it is looked for events */
    GRACE_MS = 10,      /* how late it may start what was due before the deadline */
    LEAD_MAX_US = 100,
    BUFFER = 256 * 1024,
};

struct connection {
    enum { IDLE, ACTIVE, CLOSING } state;
    int fd;            /* -1 when there is none to use again */
    int uses;          /* of this socket */
    bool watches_room; /* epoll also tells when more can be sent */
    const char *message;
    int64_t sent, received; /* of this message */
    int64_t messages_left;
    int64_t due; /* latency counts from here */
    int64_t begin;
    struct connection *next_idle;
};

static const struct options *options;
static struct result result;
static struct connection *connections; /* as many as may be, and how many have been */
static int64_t used;
static struct connection *idle;
static int64_t active, closing;
static char *random_bytes;
static size_t varieties, distance; /* of the messages in `random_bytes` */
static uint64_t random_state;
static int epoll, timer;
static int64_t opened;   /* sockets */
static int64_t deadline; /* no connection starts after it */
static int64_t timer_at;
static struct schedule schedule; /* of an open loop */
static int64_t lead; /* so long before a connection is due we stay awake: a timer is late, too */
static int64_t *clients; /* of a closed loop: when each that is free begins again, a ring */
static int64_t first_free, free_clients;
static int64_t freed_at; /* when a place became free, after all had been taken */

/* What has happened to load itself: nothing starts any more. Of several calls the first one counts.
 */
static void fail(const char *call)
{
    int error = errno;

    if (result.failed)
        return;
    result.failed = call;
    result.error = error;
    int64_t now = now_ns();
    if (now < deadline)
        deadline = now;
    if (deadline < result.due_end)
        result.due_end = deadline;
}

/* ---- sockets ---- */

/* Takes a source address in turn. With one alone, the ports of the closed connections, which stay
 * in TIME_WAIT for a minute, would run out. */
static bool bind_source(int fd)
{
    struct sockaddr_in source = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(0x7f000001u | (uint32_t)(1 + opened % SOURCES) << 16),
    };

    /* The port is chosen at connect, when the destination is known: it need only be free for that.
     */
    return setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int)) == 0 &&
           bind(fd, (struct sockaddr *)&source, sizeof(source)) == 0;
}

/* Edge-triggered: one call for the whole life of the socket. Only a message that did not go out at
 * once takes a second. */
static bool watch(struct connection *connection, int operation, uint32_t also)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET | also,
                                .data.ptr = connection};

    connection->watches_room = also != 0;
    return epoll_ctl(epoll, operation, connection->fd, &event) == 0;
}

static void close_socket(struct connection *connection)
{
    close(connection->fd);
    connection->fd = -1;
}

/* Gives a connection a socket of its own. Returns NULL, or the call that failed, with errno. */
static const char *open_socket(struct connection *connection)
{
    const struct addrinfo *target = options->target;
    const char *failed = NULL;

    connection->fd = socket(target->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection->fd == -1)
        return "socket";
    /* A target in 127.0.0.0/8 can be reached from all of that. */
    if (target->ai_family == AF_INET &&
        ntohl(((const struct sockaddr_in *)target->ai_addr)->sin_addr.s_addr) >> 24 == 127 &&
        !bind_source(connection->fd))
        failed = "cannot bind a source address";
    else if (!watch(connection, EPOLL_CTL_ADD, 0))
        failed = "epoll_ctl";
    if (failed) {
        int error = errno;
        close_socket(connection);
        errno = error;
        return failed;
    }
    connection->uses = 0;
    opened++;
    return NULL;
}

/* Makes a socket whose connection is over as it was before. */
static bool disconnect(int fd)
{
    const struct sockaddr nobody = {.sa_family = AF_UNSPEC};

    return connect(fd, &nobody, sizeof(nobody)) == 0;
}

static void put_idle(struct connection *connection)
{
    connection->state = IDLE;
    connection->next_idle = idle;
    idle = connection;
}

/* There always is one: beside the active, only spares are closing. */
static struct connection *take_idle(void)
{
    struct connection *connection = idle;

    if (connection) {
        idle = connection->next_idle;
    } else {
        connection = &connections[used++];
        connection->fd = -1;
    }
    return connection;
}

/* ---- one connection ---- */

static void next_message(struct connection *connection)
{
    connection->message = random_bytes + random_next(&random_state) % varieties * distance;
    connection->sent = connection->received = 0;
}

static int64_t timeout_ns(void)
{
    return options->timeout * 1000000000;
}

/* Who is free first begins first: all wait equally long. */
static void free_client(int64_t until)
{
    clients[(first_free + free_clients++) % options->at_once] = until;
}

/* The connection is over: its client, or its place, is free. */
static void leave(int64_t now)
{
    if (active-- == options->at_once)
        freed_at = now;
    if (options->rate == 0)
        free_client(now + options->wait);
}

/* Drops a connection that load itself cannot go on with, because of `call`: nothing has become of
 * it. */
static void drop(struct connection *connection, const char *call)
{
    fail(call);
    if (connection->fd != -1)
        close_socket(connection);
    put_idle(connection);
    leave(now_ns());
}

static void finish(struct connection *connection, enum outcome outcome)
{
    int64_t now = now_ns(), latency = now - connection->due;

    /* ETIMEDOUT of tcp(7) may come earlier, and is no shorter wait for it. */
    if (outcome == TIMED_OUT && latency < timeout_ns())
        latency = timeout_ns();
    if ((outcome == OK || outcome == TIMED_OUT) && samples_add(&result.latencies, latency) == -1) {
        drop(connection, "a latency");
        return;
    }
    if (outcome == OK && now <= result.due_end)
        result.ok_before_then++;
    result.outcomes[outcome]++;
    result.finished++;
    leave(now);

    if (outcome == OK && closing < options->spares && ++connection->uses < USES &&
        shutdown(connection->fd, SHUT_WR) == 0) {
        connection->state = CLOSING;
        closing++;
    } else {
        close_socket(connection);
        put_idle(connection);
    }
}

static void finish_failed(struct connection *connection, const char *call)
{
    switch (errno) {
    case ECONNREFUSED:
        finish(connection, REFUSED);
        break;
    case ECONNRESET:
    case EPIPE:
        finish(connection, RESET);
        break;
    case ETIMEDOUT:
        finish(connection, TIMED_OUT);
        break;
    default: /* not the server's doing */
        drop(connection, call);
    }
}

/* Sends what the socket takes. Returns false when the connection has failed. */
static bool send_some(struct connection *connection)
{
    while (connection->sent < options->bytes) {
        ssize_t n = send(connection->fd, connection->message + connection->sent,
                         (size_t)(options->bytes - connection->sent), MSG_NOSIGNAL);
        if (n == -1 && errno == EAGAIN) { /* also while the connection is not yet established */
            if (connection->watches_room || watch(connection, EPOLL_CTL_MOD, EPOLLOUT))
                return true;
            drop(connection, "epoll_ctl");
            return false;
        }
        if (n == -1) {
            finish_failed(connection, "send");
            return false;
        }
        connection->sent += n;
    }
    return true;
}

/* Receives until there is no more: an end-of-file behind the last bytes raises no edge itself. */
static void receive_some(struct connection *connection)
{
    static char buffer[BUFFER];

    for (;;) {
        ssize_t n = recv(connection->fd, buffer, sizeof(buffer), 0);
        if (n == -1 && errno == EAGAIN)
            return;
        if (n == -1) {
            finish_failed(connection, "recv");
            return;
        }
        if (n == 0) {
            finish(connection, CUT_SHORT);
            return;
        }
        if (n > connection->sent - connection->received || /* more than was sent */
            memcmp(buffer, connection->message + connection->received, (size_t)n) != 0) {
            finish(connection, CORRUPT);
            return;
        }
        connection->received += n;
        if (connection->received == options->bytes) {
            if (--connection->messages_left == 0) {
                finish(connection, OK);
                return;
            }
            next_message(connection);
            if (!send_some(connection))
                return;
        }
    }
}

/* Starts a connection that is due at this time; 0 for now. */
static void start(int64_t due)
{
    struct connection *connection = take_idle();

    if (connection->fd != -1 && !disconnect(connection->fd))
        close_socket(connection);
    connection->state = ACTIVE;
    connection->messages_left = options->messages;
    next_message(connection);
    result.started++;
    if (++active > result.most_at_once)
        result.most_at_once = active;
    const char *failed = connection->fd == -1 ? open_socket(connection) : NULL;
    if (failed) {
        drop(connection, failed);
        return;
    }

    connection->begin = now_ns();
    connection->due = due != 0 ? due : connection->begin;
    if (due != 0 && samples_add(&result.late, connection->begin - due) == -1)
        drop(connection, "a latency");
    else if (connect(connection->fd, options->target->ai_addr, options->target->ai_addrlen) == -1 &&
             errno != EINPROGRESS)
        finish_failed(connection, "connect");
    else
        send_some(connection); /* on loopback the connection is mostly established by now */
}

static void handle(struct connection *connection, uint32_t events)
{
    if (connection->state == ACTIVE) {
        if (send_some(connection) && events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
            receive_some(connection);
    } else if (connection->state == CLOSING && events & EPOLLHUP) { /* from both sides */
        closing--;
        if (events & EPOLLERR)
            close_socket(connection);
        put_idle(connection);
    }
}

/* ---- all of them ---- */

static void show_progress(bool last)
{
    static int shown = -1;
    char bar[41], text[80];

    if (shown == -1)
        shown = !options->table && isatty(STDERR_FILENO);
    if (!shown)
        return;
    if (last) {
        fputs("\r\033[K", stderr);
        return;
    }
    double by_count = (double)result.finished / (double)options->connections;
    double by_time = 1 - (double)(deadline - now_ns()) / 1e9 / (double)options->seconds;
    double part = by_count > by_time ? by_count : by_time;
    snprintf(text, sizeof(text), "%" PRId64 " connections, %" PRId64 " lost", result.finished,
             result.finished - result.outcomes[OK]);
    /* The last column stays free: many terminals begin a new line when it is taken. */
    int room = terminal_width(STDERR_FILENO) - 1;
    int size = room - (int)strlen("[] ") - (int)strlen(text);
    size = size < 0 ? 0 : size < (int)sizeof(bar) ? size : (int)sizeof(bar) - 1;
    memset(bar, '.', (size_t)size);
    memset(bar, '#', (size_t)((part < 1 ? part : 1) * size));
    bar[size] = '\0';
    fprintf(stderr, "\r[%s] %.*s\033[K", bar, room - size - 3, text);
}

static void end_overdue(int64_t now)
{
    for (int64_t i = 0; i < used; i++)
        if (connections[i].state == ACTIVE && now - connections[i].begin > timeout_ns())
            finish(&connections[i], TIMED_OUT);
}

/* True when so many have tried, and all that has happened is that they were refused. */
static bool nobody_listens(void)
{
    int64_t enough = options->rate > 0 ? 1 : options->at_once;

    return result.finished >= enough && result.outcomes[REFUSED] == result.finished;
}

static bool may_start(int64_t due)
{
    return result.started < options->connections && due < deadline && !result.failed &&
           !nobody_listens();
}

/* When the next connection is due, by the schedule or since a client is free. */
static int64_t next_due(void)
{
    if (options->rate > 0)
        return schedule_next(&schedule);
    return free_clients > 0 ? clients[first_free] : INT64_MAX;
}

static void start_by_schedule(int64_t due)
{
    if (due < freed_at)
        result.held++;
    start(due);
    schedule_advance(&schedule);
    if (result.started == options->connections && schedule_next(&schedule) < deadline)
        result.due_end = schedule_next(&schedule);
}

static void start_by_client(void)
{
    first_free = (first_free + 1) % options->at_once;
    free_clients--;
    start(0);
}

/* Starts what is due. Returns true when there is more of it, now or within the lead: not so much
 * starts at a time that the answers to earlier connections would have to wait. */
static bool start_due(void)
{
    for (int i = 0; i < STARTS; i++) {
        int64_t now = now_ns(), due = next_due();
        if (now >= deadline + GRACE_MS * 1000000 || !may_start(due) || active == options->at_once)
            return false;
        if (due > now)
            return due - now <= lead;
        if (options->rate > 0)
            start_by_schedule(due);
        else
            start_by_client();
    }
    return true;
}

static struct timespec time_at(int64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000),
                             .tv_nsec = (long)(ns % 1000000000)};
}

/* Wakes epoll_wait when the next connection is due, less the lead. A timer, since epoll_wait(2)
 * counts in milliseconds; epoll_pwait2 is missing in some C libraries, and late by the timer slack
 * (PR_SET_TIMERSLACK in prctl(2)). */
static void set_timer(void)
{
    int64_t due = next_due();
    const struct itimerspec at = {.it_value = time_at(due - lead)};

    if (due == timer_at || active == options->at_once || !may_start(due))
        return;
    if (timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL) == -1)
        fail("timerfd_settime");
    timer_at = due;
}

static bool wait_and_handle(int timeout)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(epoll, events, EVENTS, timeout);

    if (count == -1 && errno != EINTR) { /* then no connection would ever be seen to end */
        fail("epoll_wait");
        return false;
    }
    for (int i = 0; i < count; i++)
        if (events[i].data.ptr) /* not the timer */
            handle(events[i].data.ptr, events[i].events);
    return true;
}

static void make_all(void)
{
    int64_t next_tick = result.begin;

    for (;;) {
        int64_t now = now_ns();
        if (now >= next_tick) {
            end_overdue(now);
            show_progress(false);
            next_tick = now + TICK_MS * 1000000;
        }
        bool more_due = start_due();
        if (active == 0 && (now_ns() >= deadline || !may_start(next_due())))
            return;
        if (!more_due)
            set_timer();
        if (!wait_and_handle(more_due ? 0 : TICK_MS))
            return;
    }
}

/* ---- before and after ---- */

static void make_random_bytes(void)
{
    size_t length = (size_t)options->bytes;

    /* Messages of any bytes overlap. Lines cannot: they lie one behind the other, fewer if long. */
    distance = options->lines ? length : 1;
    varieties = !options->lines ? VARIETY : length < LINES ? LINES / length : 1;
    size_t size = varieties * distance + length;
    random_bytes = malloc(size);
    if (!random_bytes)
        err(EXIT_FAILURE, "%" PRId64 " bytes", options->bytes);
    for (size_t i = 0; i < size; i++) {
        uint64_t random = random_next(&random_state) >> 32;
        random_bytes[i] = (char)(options->lines ? ' ' + random % ('~' - ' ' + 1) : random);
    }
    for (size_t i = length - 1; options->lines && i < size; i += length)
        random_bytes[i] = '\n';
}

static void open_timer(void)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};

    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (timer == -1 || epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event) == -1)
        err(EXIT_FAILURE, "timerfd");
    timer_at = 0;
}

/* The first connections of clients that wait are spread, as the later ones are. */
static void open_clients(void)
{
    clients = calloc((size_t)options->at_once, sizeof(*clients));
    if (!clients)
        err(EXIT_FAILURE, "%" PRId64 " clients", options->at_once);
    for (int64_t i = 0; i < options->at_once; i++)
        free_client(result.begin + options->wait / options->at_once * i);
}

static double own_cpu_us(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void count_unstarted(void)
{
    while (result.started + result.unstarted < options->connections &&
           schedule_next(&schedule) < deadline) {
        result.unstarted++;
        schedule_advance(&schedule);
    }
}

struct result loop_run(const struct options *what)
{
    options = what;
    result = (struct result){0};
    used = active = closing = opened = first_free = free_clients = 0;
    idle = NULL;
    clients = NULL;
    freed_at = INT64_MIN;
    random_state = options->seed;
    make_random_bytes();
    connections = calloc((size_t)(options->at_once + options->spares), sizeof(*connections));
    if (!connections)
        err(EXIT_FAILURE, "%" PRId64 " connections", options->at_once);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll == -1)
        err(EXIT_FAILURE, "epoll_create1");
    open_timer();

    result.begin = now_ns();
    result.due_end = deadline = result.begin + options->seconds * 1000000000;
    if (options->rate > 0) {
        double distance_ns = 1e9 / options->rate;
        lead = (int64_t)fmin(distance_ns / 20, LEAD_MAX_US * 1000); /* little CPU at any rate */
        schedule_begin(&schedule, options->rate, options->fixed, random_next(&random_state),
                       result.begin);
    } else {
        lead = 0;
        open_clients();
    }
    double cpu_before = own_cpu_us();
    make_all();
    result.cpu_us = own_cpu_us() - cpu_before;
    result.end = now_ns();
    result.nobody_listens = nobody_listens();
    if (options->rate > 0 && !result.nobody_listens)
        count_unstarted();

    show_progress(true);
    for (int64_t i = 0; i < used; i++)
        if (connections[i].fd != -1)
            close(connections[i].fd);
    close(timer);
    close(epoll);
    free(clients);
    free(connections);
    free(random_bytes);
    return result;
}

void result_free(struct result *what)
{
    samples_free(&what->latencies);
    samples_free(&what->late);
}
