/*
 * slow: an echo server whose latency is known, to measure load by: `make accuracy`.
 *
 * It answers each connection 2 ms after it came, and every hundredth after 50 ms; any number of
 * them at once. A timer is late now and then, so it keeps how long each answer really took, and on
 * SIGTERM writes all that to FILE, in µs. It counts from when the kernel received the request,
 * which is before this process was awake: SO_TIMESTAMPNS in socket(7).
 */
#include "listener.h"
#include "process.h"
#include "samples.h"
#include "stopwatch.h"

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct connection {
    int fd;
    int64_t due; /* when it is to be answered; 0 afterwards */
    SIMPLEQ_ENTRY(connection) next;
};

/* The connections of one latency: who came first is due first. */
struct delay {
    int64_t ns;
    SIMPLEQ_HEAD(queue, connection) waiting;
};

static struct delay normal = {2000000, SIMPLEQ_HEAD_INITIALIZER(normal.waiting)};
static struct delay rare = {50000000, SIMPLEQ_HEAD_INITIALIZER(rare.waiting)};

static int listener, stop, timer, epoll;
static struct samples given;

static void watch(int fd, void *data)
{
    struct epoll_event event = {.events = EPOLLIN | (data ? EPOLLET : 0), .data.ptr = data};

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == -1)
        err(EXIT_FAILURE, "epoll_ctl");
}

static void accept_all(void)
{
    static long count;
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1) {
        struct delay *delay = count++ % 100 == 37 ? &rare : &normal;
        struct connection *connection = malloc(sizeof(*connection));
        if (!connection)
            err(EXIT_FAILURE, "a connection");
        *connection = (struct connection){.fd = fd, .due = now_ns() + delay->ns};
        SIMPLEQ_INSERT_TAIL(&delay->waiting, connection, next);
    }
    if (errno != EAGAIN)
        err(EXIT_FAILURE, "accept4");
}

static int64_t wall_clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* When the kernel received what `message` has brought, on the wall clock: connections have
 * inherited SO_TIMESTAMPNS from the listener. */
static int64_t received_ns(struct msghdr *message)
{
    struct cmsghdr *control = CMSG_FIRSTHDR(message);
    struct timespec at;

    if (!control || control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_TIMESTAMPNS)
        errx(EXIT_FAILURE, "a request came without its time");
    memcpy(&at, CMSG_DATA(control), sizeof(at));
    return at.tv_sec * INT64_C(1000000000) + at.tv_nsec;
}

/* The request is there in one piece, as load's messages are, and goes back so. */
static void answer(struct connection *connection)
{
    char buffer[65536];
    union {
        char bytes[CMSG_SPACE(sizeof(struct timespec))];
        struct cmsghdr align;
    } control;
    struct msghdr message = {
        .msg_iov = &(struct iovec){buffer, sizeof(buffer)},
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes),
    };
    ssize_t length = recvmsg(connection->fd, &message, 0);

    if (length <= 0 || send(connection->fd, buffer, (size_t)length, MSG_NOSIGNAL) != length)
        warnx("a client has gone");
    else if (samples_add(&given, wall_clock_ns() - received_ns(&message)) == -1)
        err(EXIT_FAILURE, "samples");
    connection->due = 0;
    watch(connection->fd, connection); /* to close it after the client */
}

static void answer_due(struct delay *delay)
{
    struct connection *first;

    while ((first = SIMPLEQ_FIRST(&delay->waiting)) != NULL && first->due <= now_ns()) {
        SIMPLEQ_REMOVE_HEAD(&delay->waiting, next);
        answer(first);
    }
}

static void set_timer(void)
{
    const struct connection *first = SIMPLEQ_FIRST(&normal.waiting);
    const struct connection *other = SIMPLEQ_FIRST(&rare.waiting);
    struct itimerspec at = {0}; /* disarms it */

    if (!first || (other && other->due < first->due))
        first = other;
    if (first)
        at.it_value = (struct timespec){first->due / 1000000000, first->due % 1000000000};
    if (timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL) == -1)
        err(EXIT_FAILURE, "timerfd_settime");
}

static void serve(void)
{
    struct epoll_event events[64];

    for (;;) {
        int count = epoll_wait(epoll, events, 64, -1);
        if (count == -1 && errno != EINTR)
            err(EXIT_FAILURE, "epoll_wait");
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            if (connection) { /* the client has closed */
                close(connection->fd);
                free(connection);
            }
        }
        if (signals_next(stop) != 0)
            return;
        accept_all();
        answer_due(&normal);
        answer_due(&rare);
        set_timer();
    }
}

static void write_latencies(const char *path)
{
    FILE *file = fopen(path, "we");

    if (!file)
        err(EXIT_FAILURE, "%s", path);
    for (size_t i = 0; i < given.count; i++)
        fprintf(file, "%.3f\n", (double)given.ns[i] / 1e3);
    if (ferror(file) | fclose(file))
        err(EXIT_FAILURE, "%s", path);
}

int main(int argc, char **argv)
{
    char name[SOCKET_NAME_MAX];
    struct rlimit limit;

    if (argc != 2) {
        fprintf(stderr, "usage: %s FILE\n", program_invocation_short_name);
        return 2;
    }
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    stop = signals_open(SIGTERM, SIGINT, 0);
    listener = listener_open("127.0.0.1", 0);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (stop == -1 || listener == -1 || timer == -1 || epoll == -1 ||
        setsockopt(listener, SOL_SOCKET, SO_TIMESTAMPNS, &(int){1}, sizeof(int)) == -1)
        err(EXIT_FAILURE, "set-up");
    watch(stop, NULL);
    watch(listener, NULL);
    watch(timer, NULL);
    printf("listening on %s, any number at once\n", local_name(listener, name));
    fflush(stdout);
    serve();
    write_latencies(argv[1]);
    return EXIT_SUCCESS;
}
