/*
 * Unit test of common/load/loop.c: are the latencies that load reports right?
 *
 * It runs in a world of its own, where time passes only when load waits. The system calls that
 * run.c makes are replaced by ones that play the network, a clock, and a server that takes exactly
 * as long as a test says. So the right answer is known to the nanosecond, and does not depend on
 * how busy the machine is. On a real clock it would: the machine's own delays may be as long as
 * what is to be measured within 5 %. `make accuracy` does that, prints by how much load was wrong,
 * and asserts nothing. Here, everything is asserted.
 */
#include "support.h"

#include "loop.h"
#include "random.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>

enum {
    FIRST = 1000000, /* descriptor of the world; no real one is so high */
    EPOLL = FIRST,
    TIMER,
    SOCKET, /* the first of them */
    SOCKETS = 20000,
    MESSAGE = 64,
};

#define MS    ((int64_t)1000000)
#define US    ((int64_t)1000)
#define NEVER INT64_MAX

/* ---- the world ---- */

struct peer {
    bool open, connected, shut;
    int64_t event_at; /* when epoll is to tell */
    uint32_t events;
    char answer[MESSAGE];
    int answer_length;
    void *data;
};

static int64_t now;
static struct peer peers[SOCKETS];
static int highest; /* socket that was ever open, and one more */
static int64_t timer_at;
static long sockets_made, sockets_open, most_sockets_open, connections_made;
static struct samples given;   /* the latency that each connection really got */
static struct samples starts;  /* when each connection began */
static int64_t (*serve)(void); /* takes a request, says when its answer arrives */
static bool never_closes;      /* the server, its ends of connections */
static bool disconnect_fails;
static struct {
    const char *call; /* fails, all the world's other calls do not; NULL for none */
    long after;       /* so many that go well */
    int error;
} failing;
static int64_t timer_is_late;
static int64_t cost_of_a_start; /* time that load itself takes to connect */

static struct peer *peer_of(int fd)
{
    assert_true(fd >= SOCKET && fd < SOCKET + SOCKETS && peers[fd - SOCKET].open);
    return &peers[fd - SOCKET];
}

static bool fails(const char *call)
{
    if (!failing.call || strcmp(call, failing.call) != 0 || failing.after-- > 0)
        return false;
    errno = failing.error;
    return true;
}

/* The wrapped functions, and the real ones: this program's own use of them is to go on. */
#define WRAP(type, name, ...)                                                                      \
    type __real_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__)

WRAP(int, clock_gettime, clockid_t clock, struct timespec *time)
{
    assert_int_equal(clock, CLOCK_MONOTONIC);
    *time = (struct timespec){now / 1000000000, now % 1000000000};
    return 0;
}

WRAP(int, epoll_create1, int flags)
{
    assert_int_equal(flags, EPOLL_CLOEXEC);
    return EPOLL;
}

WRAP(int, epoll_ctl, int epoll, int operation, int fd, struct epoll_event *event)
{
    assert_int_equal(epoll, EPOLL);
    assert_int_equal(operation, EPOLL_CTL_ADD);
    assert_true(event->events & EPOLLET);
    if (fails("epoll_ctl"))
        return -1;
    if (fd == TIMER)
        assert_null(event->data.ptr);
    else
        peer_of(fd)->data = event->data.ptr;
    return 0;
}

WRAP(int, timerfd_create, int clock, int flags)
{
    assert_int_equal(clock, CLOCK_MONOTONIC);
    assert_int_equal(flags, TFD_NONBLOCK | TFD_CLOEXEC);
    return TIMER;
}

WRAP(int, timerfd_settime, int fd, int flags, const struct itimerspec *new_value,
     struct itimerspec *old_value)
{
    assert_int_equal(fd, TIMER);
    assert_int_equal(flags, TFD_TIMER_ABSTIME);
    assert_null(old_value);
    if (fails("timerfd_settime"))
        return -1;
    timer_at = new_value->it_value.tv_sec * 1000000000 + new_value->it_value.tv_nsec;
    return 0;
}

WRAP(int, socket, int domain, int type, int protocol)
{
    int i = 0;

    assert_int_equal(domain, AF_INET);
    assert_int_equal(type, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_int_equal(protocol, 0);
    if (fails("socket"))
        return -1;
    while (peers[i].open)
        i++;
    assert_true(i < SOCKETS);
    peers[i] = (struct peer){.open = true, .event_at = NEVER};
    if (i >= highest)
        highest = i + 1;
    sockets_made++;
    if (++sockets_open > most_sockets_open)
        most_sockets_open = sockets_open;
    return SOCKET + i;
}

WRAP(int, setsockopt, int fd, int level, int option, const void *value, socklen_t length)
{
    (void)level, (void)option, (void)value, (void)length;
    peer_of(fd);
    return 0;
}

WRAP(int, bind, int fd, const struct sockaddr *address, socklen_t length)
{
    (void)address, (void)length;
    peer_of(fd);
    return fails("bind") ? -1 : 0;
}

WRAP(int, connect, int fd, const struct sockaddr *address, socklen_t length)
{
    struct peer *peer = peer_of(fd);

    (void)length;
    if (address->sa_family == AF_UNSPEC) {
        assert_true(peer->connected && peer->shut); /* else a reset would go out */
        peer->connected = peer->shut = false;
        errno = EINVAL;
        return disconnect_fails ? -1 : 0;
    }
    assert_false(peer->connected);
    if (fails("connect"))
        return -1;
    peer->connected = true;
    connections_made++;
    assert_int_equal(samples_add(&starts, now), 0);
    now += cost_of_a_start;
    errno = EINPROGRESS;
    return -1;
}

WRAP(ssize_t, send, int fd, const void *bytes, size_t length, int flags)
{
    struct peer *peer = peer_of(fd);

    assert_true(peer->connected && !peer->shut);
    assert_int_equal(length, MESSAGE);
    assert_int_equal(flags, MSG_NOSIGNAL);
    if (fails("send"))
        return -1;
    memcpy(peer->answer, bytes, length);
    peer->event_at = serve();
    peer->events = EPOLLIN;
    assert_true(peer->event_at > now);
    if (peer->event_at != NEVER)
        assert_int_equal(samples_add(&given, peer->event_at - now), 0);
    return (ssize_t)length;
}

WRAP(ssize_t, recv, int fd, void *buffer, size_t size, int flags)
{
    const struct peer *peer = peer_of(fd);

    assert_true(peer->connected && size >= MESSAGE);
    assert_int_equal(flags, 0);
    if (fails("recv"))
        return -1;
    memcpy(buffer, peer->answer, MESSAGE);
    return MESSAGE;
}

WRAP(int, shutdown, int fd, int how)
{
    struct peer *peer = peer_of(fd);

    assert_true(peer->connected && !peer->shut);
    assert_int_equal(how, SHUT_WR);
    peer->shut = true;
    if (!never_closes) {
        peer->event_at = now;
        peer->events = EPOLLIN | EPOLLRDHUP | EPOLLHUP;
    }
    return 0;
}

WRAP(int, close, int fd)
{
    if (fd < FIRST) /* not of this world */
        return __real_close(fd);
    if (fd >= SOCKET) {
        peer_of(fd)->open = false;
        sockets_open--;
    }
    return 0;
}

static int take_event(struct epoll_event *event)
{
    if (timer_at != NEVER && timer_at + timer_is_late <= now) {
        timer_at = NEVER;
        *event = (struct epoll_event){.events = EPOLLIN};
        return 1;
    }
    for (int i = 0; i < highest; i++) {
        if (peers[i].open && peers[i].event_at <= now) {
            peers[i].event_at = NEVER;
            *event = (struct epoll_event){.events = peers[i].events, .data.ptr = peers[i].data};
            return 1;
        }
    }
    return 0;
}

/* Time passes until something happens; nowhere else. */
WRAP(int, epoll_wait, int epoll, struct epoll_event *events, int room, int timeout)
{
    int64_t until = now + (timeout > 0 ? timeout * MS : US); /* to look takes a microsecond */
    int count = 0;

    assert_int_equal(epoll, EPOLL);
    if (fails("epoll_wait"))
        return -1;
    assert_true(timeout >= 0 && room > 0);
    if (timer_at != NEVER && timer_at + timer_is_late < until)
        until = timer_at + timer_is_late;
    for (int i = 0; i < highest; i++)
        if (peers[i].open && peers[i].event_at < until)
            until = peers[i].event_at;
    if (until > now)
        now = until;
    while (count < room && take_event(&events[count]) == 1)
        count++;
    return count;
}

/* ---- servers ---- */

static long requests;

/* Serves all at once: 2 ms, and of a hundred connections one takes 50 ms. */
static int64_t serve_steadily(void)
{
    return now + (requests++ % 100 == 37 ? 50 * MS : 2 * MS);
}

static int64_t serve_after_2_ms(void)
{
    return now + 2 * MS;
}

static int64_t serve_after_50_ms(void)
{
    return now + 50 * MS;
}

static int64_t serve_never(void)
{
    return NEVER;
}

static int64_t serve_every_second(void)
{
    return requests++ % 2 == 0 ? now + 2 * MS : NEVER;
}

/* One worker that needs 100 µs for each, and 100 µs of travelling; it is stopped from second 1 on,
 * for 200 ms. */
static int64_t stall_begin, stall_end, worker_free;

static int64_t serve_one_by_one(void)
{
    int64_t begin = now > worker_free ? now : worker_free;

    if (begin >= stall_begin && begin < stall_end)
        begin = stall_end;
    worker_free = begin + 100 * US;
    return worker_free + 100 * US;
}

/* ---- running ---- */

static struct options options;
static struct result result;

static int set_up(void **state)
{
    static struct sockaddr_in address = {.sin_family = AF_INET,
                                         .sin_addr.s_addr = 0x0100007f /* 127.0.0.1 */};
    static struct addrinfo target = {.ai_family = AF_INET,
                                     .ai_addr = (struct sockaddr *)&address,
                                     .ai_addrlen = sizeof(address)};

    (void)state;
    options = (struct options){
        .target = &target,
        .at_once = 8,
        .spares = 64,
        .connections = 100000000,
        .seconds = 3600,
        .bytes = MESSAGE,
        .messages = 1,
        .timeout = 10,
        .seed = 42,
    };
    now = 1000000000000; /* 0 would stand for "no time" */
    timer_at = NEVER;
    requests = highest = 0;
    failing.call = NULL;
    sockets_made = sockets_open = most_sockets_open = connections_made = 0;
    serve = serve_steadily;
    never_closes = disconnect_fails = false;
    timer_is_late = cost_of_a_start = 0;
    worker_free = stall_begin = stall_end = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    samples_free(&given);
    samples_free(&starts);
    result_free(&result);
    return 0;
}

static void run_all(void)
{
    result = loop_run(&options);
    samples_sort(&result.latencies);
    samples_sort(&result.late);
    samples_sort(&given);
    assert_int_equal(sockets_open, 0);
    assert_int_equal(connections_made, result.started);
    assert_int_equal(result.finished, result.started);
}

static void expect_all_ok(long connections)
{
    assert_int_equal(result.finished, connections);
    assert_int_equal(result.outcomes[OK], connections);
}

static double ms(double percent)
{
    return (double)samples_percentile(&result.latencies, percent) / (double)MS;
}

static bool within_5_percent(double value, double expected)
{
    return value >= 0.95 * expected && value <= 1.05 * expected;
}

/* Every percentile, from the first per mille to the last, within 5 % of what the server gave. */
static void expect_latencies_as_given(void)
{
    assert_int_equal(result.latencies.count, given.count);
    for (int i = 1; i <= 1000; i++) {
        double expected = (double)samples_percentile(&given, i / 10.0) / (double)MS;
        if (!within_5_percent(ms(i / 10.0), expected))
            fail_msg("p%.1f is %f ms; the server gave %f ms", i / 10.0, ms(i / 10.0), expected);
    }
    assert_true(within_5_percent(ms(50), 2));
    assert_true(within_5_percent(ms(98.9), 2));
    assert_true(within_5_percent(ms(99.1), 50));
    assert_true(within_5_percent(ms(99.9), 50));
    assert_true(within_5_percent(ms(100), 50));
}

/* ---- latency ---- */

static void a_closed_loop_reports_the_latencies_that_the_server_gave(void **state)
{
    (void)state;
    options.connections = 10000;
    run_all();
    expect_all_ok(10000);
    expect_latencies_as_given();
    assert_int_equal(result.most_at_once, 8);
    assert_int_equal(result.late.count, 0);
}

static void an_open_loop_reports_the_latencies_that_the_server_gave(void **state)
{
    const double rates[] = {3, 1000, 50000};

    (void)state;
    for (int i = 0; i < 6; i++) {
        tear_down(NULL);
        set_up(NULL);
        options.rate = rates[i / 2];
        options.fixed = i % 2 == 1;
        options.at_once = 10000;
        options.connections = 10000;
        run_all();
        expect_all_ok(10000);
        expect_latencies_as_given();
        assert_int_equal(result.held, 0);
        assert_int_equal(result.unstarted, 0);
    }
}

static long slower_than(int64_t ns)
{
    long count = 0;

    for (size_t i = 0; i < result.latencies.count; i++)
        count += result.latencies.ns[i] > ns;
    return count;
}

static void stop_the_worker_in_second_1(void)
{
    serve = serve_one_by_one;
    stall_begin = now + 1000 * MS;
    stall_end = now + 1200 * MS;
    options.seconds = 4;
}

/* 5000 connections a second in all of these loops, but for the stop. */
static void a_stop_of_200_ms_is_hidden_by_a_closed_loop(void **state)
{
    (void)state;
    stop_the_worker_in_second_1();
    options.at_once = 1;
    run_all();
    assert_int_equal(result.finished, (4000 - 200) * 5);
    assert_int_equal(slower_than(1 * MS), 1); /* the one connection that was under way */
    assert_true(within_5_percent(ms(50), 0.2));
    assert_true(within_5_percent(ms(99.9), 0.2));
    assert_true(within_5_percent(ms(100), 200));
}

static void clients_that_wait_in_between_hide_it_too(void **state)
{
    (void)state;
    stop_the_worker_in_second_1();
    options.at_once = 10;
    options.wait = 1800 * US;
    run_all();
    assert_true(result.finished > 3790 * 5 && result.finished <= 3810 * 5);
    assert_int_equal(slower_than(1 * MS), 10);
    assert_true(within_5_percent(ms(50), 0.2));
    assert_true(ms(99.9) < 1);
    assert_true(within_5_percent(ms(100), 200));
}

static void a_stop_of_200_ms_is_shown_by_an_open_loop(void **state)
{
    (void)state;
    stop_the_worker_in_second_1();
    options.at_once = 10000;
    options.rate = 5000;
    options.fixed = true;
    run_all();
    expect_all_ok(4 * 5000);
    /* The 1000 that were due during the stop, and those behind which the worker has caught up: it
     * serves two while one comes. */
    assert_true(slower_than(1 * MS) > 1900 && slower_than(1 * MS) < 2000);
    assert_true(within_5_percent(ms(50), 0.2));
    assert_true(within_5_percent(ms(95), 100)); /* half of those that suffered, half of the stop */
    assert_true(within_5_percent(ms(99.9), 200));
    assert_true(within_5_percent(ms(100), 200));
}

/* Half of the connections hear nothing: from the 50th percentile on, the latency is the time-out.
 */
static void who_times_out_is_in_the_percentiles(void **state)
{
    (void)state;
    for (int open_loop = 0; open_loop < 2; open_loop++) {
        tear_down(NULL);
        set_up(NULL);
        serve = serve_every_second;
        options.connections = 1000;
        options.rate = open_loop ? 1000 : 0;
        options.at_once = open_loop ? 10000 : 8;
        run_all();
        assert_int_equal(result.outcomes[OK], 500);
        assert_int_equal(result.outcomes[TIMED_OUT], 500);
        assert_int_equal(result.latencies.count, 1000);
        assert_true(within_5_percent(ms(50), 2));
        assert_true(ms(50.1) >= 10000 && ms(100) <= 10200); /* looked after each 100 ms */
    }
}

/* When the kernel gives up first, after a tenth of load's own time-out. */
static int64_t give_up_after_a_second(void)
{
    failing.call = "recv";
    failing.after = 0;
    failing.error = ETIMEDOUT;
    return now + 1000 * MS;
}

static void a_time_out_of_the_kernel_s_counts_no_less(void **state)
{
    (void)state;
    serve = give_up_after_a_second;
    options.connections = 1;
    run_all();
    assert_int_equal(result.outcomes[TIMED_OUT], 1);
    assert_int_equal(result.latencies.count, 1);
    assert_true(result.latencies.ns[0] == 10000 * MS);
    assert_null(result.failed);
}

static void who_is_lost_otherwise_is_not(void **state)
{
    (void)state;
    failing.call = "recv";
    failing.after = 30;
    failing.error = ECONNRESET;
    options.connections = 100;
    run_all();
    assert_int_equal(result.outcomes[OK], 30);
    assert_int_equal(result.outcomes[RESET], 70);
    assert_int_equal(result.latencies.count, 30);
}

/* ---- load itself fails ---- */

/* After so many calls that go well this one fails. What was measured before is there, those under
 * way are waited for, and nothing more begins. */
static void fail_after(const char *call, long after, int error, const char *said)
{
    failing.call = call;
    failing.after = after;
    failing.error = error;
    options.seconds = 10;
    result = loop_run(&options);
    assert_non_null(result.failed);
    assert_string_equal(result.failed, said);
    assert_int_equal(result.error, error);
    assert_int_equal(sockets_open, 0);
    assert_int_equal(result.outcomes[OK], result.finished);
    assert_int_equal(result.latencies.count, result.finished);
    assert_true(result.due_end <= result.end);
}

static void what_was_measured_before_load_failed_is_kept(void **state)
{
    static const struct {
        const char *call;
        int error;
        const char *said;
    } calls[] = {
        {"socket", EMFILE, "socket"},       {"bind", EADDRNOTAVAIL, "cannot bind a source address"},
        {"epoll_ctl", ENOSPC, "epoll_ctl"}, {"connect", EADDRNOTAVAIL, "connect"},
        {"send", ENOBUFS, "send"},          {"recv", ENOMEM, "recv"},
    };

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(calls) / sizeof(*calls); i++) {
        tear_down(NULL);
        set_up(NULL);
        if (i % 2 == 1) {
            options.rate = 1000;
            options.fixed = true;
            options.at_once = 10000;
        }
        disconnect_fails = true; /* a new socket for each */
        fail_after(calls[i / 2].call, 500, calls[i / 2].error, calls[i / 2].said);
        /* One of epoll_ctl's calls was for the timer. Who was under way has failed, too, where the
         * call is one that it needs. */
        assert_in_range(result.finished, 499, 500);
        assert_in_range(result.started - result.finished, 1, 8);
        assert_int_equal(result.unstarted, 0);
    }
}

static void without_a_timer_or_events_the_rest_is_kept(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        tear_down(NULL);
        set_up(NULL);
        options.rate = 100;
        options.fixed = true;
        fail_after(i == 0 ? "timerfd_settime" : "epoll_wait", 50, ENOMEM,
                   i == 0 ? "timerfd_settime" : "epoll_wait");
        assert_true(result.finished > 0 && result.finished < 1000);
        assert_true(result.started - result.finished <= 1);
    }
}

/* ---- the schedule is kept ---- */

static void connections_start_when_they_are_due(void **state)
{
    (void)state;
    options.rate = 12345.678;
    options.at_once = 10000;
    options.connections = 20000;
    run_all();
    assert_int_equal(result.late.count, 20000);
    assert_in_range(samples_percentile(&result.late, 100), 0,
                    US - 1); /* it looks each microsecond */
    double seconds = (double)(starts.ns[starts.count - 1] - starts.ns[0]) / 1e9;
    assert_true(within_5_percent(20000 / seconds, options.rate));
}

static void even_distances_are_even(void **state)
{
    (void)state;
    options.rate = 1000;
    options.fixed = true;
    options.at_once = 10000;
    options.connections = 5000;
    run_all();
    for (int i = 0; i < 5000; i++)
        assert_int_equal(starts.ns[i] - result.begin, i * MS);
    assert_int_equal(result.due_end - result.begin, 5000 * MS);
}

static void the_seed_decides_when_connections_start(void **state)
{
    struct samples first;

    (void)state;
    options.rate = 1000;
    options.at_once = 10000;
    options.connections = 1000;
    run_all();
    first = starts;
    starts = (struct samples){0};
    for (uint64_t seed = 42; seed <= 43; seed++) {
        tear_down(NULL);
        set_up(NULL);
        options.seed = seed;
        options.rate = 1000;
        options.at_once = 10000;
        options.connections = 1000;
        run_all();
        bool same = memcmp(first.ns, starts.ns, 1000 * sizeof(*first.ns)) == 0;
        assert_int_equal(same, seed == 42);
    }
    samples_free(&first);
}

/* Each of 10 clients has its turn every 2 + 3 ms; the others' are spread between. */
static void clients_wait_between_connections(void **state)
{
    (void)state;
    serve = serve_after_2_ms;
    options.at_once = 10;
    options.wait = 3 * MS;
    options.seconds = 1;
    run_all();
    expect_all_ok(2000);
    assert_int_equal(result.most_at_once, 7); /* 2 ms of each 5, and begun 0.3 ms apart */
    for (int i = 0; i < 2000; i++) {
        int64_t expected = i / 10 * 5 * MS + i % 10 * 300 * US;
        assert_int_equal(starts.ns[i] - result.begin, expected);
    }
}

/* All wait at once for a server that answers nobody. */
static void connections_start_while_earlier_ones_hang(void **state)
{
    (void)state;
    serve = serve_never;
    options.rate = 1000;
    options.fixed = true;
    options.at_once = 10000;
    options.seconds = 2;
    run_all();
    assert_int_equal(result.started, 2000);
    assert_int_equal(result.most_at_once, 2000);
    assert_int_equal(result.outcomes[TIMED_OUT], 2000);
    assert_int_equal(samples_percentile(&result.late, 100), 0);
    /* Ten seconds after the last, but for the tick in which time-outs are looked after. */
    assert_true(result.end - result.begin >= 11999 * MS);
    assert_true(result.end - result.begin <= 12200 * MS);
}

/* A timer that wakes late, as on an idle machine, makes no connection late: load is awake before.
 */
static void a_timer_that_is_late_makes_nothing_late(void **state)
{
    (void)state;
    options.rate = 1000;
    options.at_once = 10000;
    options.connections = 20000;
    timer_is_late = 40 * US;
    run_all();
    assert_in_range(samples_percentile(&result.late, 100), 0, US - 1);
    expect_latencies_as_given();
}

/* Load needs 2 ms to start what is due each millisecond. The latency counts from when it was due
 * all the same, and how late it was is told. */
static void what_load_itself_starts_late_is_told(void **state)
{
    (void)state;
    options.rate = 1000;
    options.fixed = true;
    options.at_once = 10000;
    options.connections = 1000;
    cost_of_a_start = 2 * MS;
    run_all();
    expect_all_ok(1000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(result.late.ns[i], i * MS);
    assert_true(ms(99) > 990);
    assert_int_equal(result.held, 0);
    assert_int_equal(result.unstarted, 0);
}

static void after_the_last_second_nothing_starts_and_that_is_counted(void **state)
{
    (void)state;
    options.rate = 1000;
    options.fixed = true;
    options.at_once = 10000;
    options.seconds = 1;
    cost_of_a_start = 2 * MS;
    run_all();
    expect_all_ok(505); /* for 10 ms it may still start what was due in time */
    assert_int_equal(result.unstarted, 495);
}

/* ---- the bound ---- */

/* 1000 connections a second of 50 ms are 50 at once; 10 may be. */
static void the_bound_of_connections_is_kept_and_told(void **state)
{
    (void)state;
    serve = serve_after_50_ms;
    options.rate = 1000;
    options.fixed = true;
    options.at_once = 10;
    options.connections = 1000;
    run_all();
    expect_all_ok(1000);
    assert_int_equal(result.most_at_once, 10);
    assert_int_equal(result.held, 990);
    /* Latency counts from when they were due: the last came 1 second after the first, and had to
     * wait until 990 others were served, 10 each 50 ms. */
    assert_true(within_5_percent(ms(100), 5000 - 1000));
    assert_true(within_5_percent(ms(50), 2000));
}

static void a_bound_that_is_just_reached_holds_nothing(void **state)
{
    (void)state;
    serve = serve_after_50_ms;
    options.rate = 1000;
    options.fixed = true;
    options.at_once = 51;
    options.connections = 1000;
    run_all();
    expect_all_ok(1000);
    assert_true(result.most_at_once >= 50);
    assert_int_equal(result.held, 0);
    assert_int_equal(samples_percentile(&result.late, 100), 0);
}

static void what_the_bound_holds_beyond_the_last_second_is_counted(void **state)
{
    (void)state;
    serve = serve_after_50_ms;
    options.rate = 1000;
    options.fixed = true;
    options.at_once = 10;
    options.seconds = 1;
    run_all();
    assert_int_equal(result.started + result.unstarted, 1000);
    assert_int_equal(result.started, 210); /* 10 each 50 ms, the last while it has 10 ms left */
}

/* ---- the rate ---- */

/* A worker that serves 10000 a second is asked for 20000. */
static void a_server_that_falls_behind_is_seen_in_the_rate(void **state)
{
    (void)state;
    serve = serve_one_by_one;
    options.rate = 20000;
    options.fixed = true;
    options.at_once = 100000;
    options.seconds = 1;
    run_all();
    expect_all_ok(20000); /* in the end */
    assert_int_equal(result.due_end - result.begin, 1000 * MS);
    assert_true(result.ok_before_then >= 9990 && result.ok_before_then <= 10000);
}

static void a_server_that_keeps_up_achieves_the_rate(void **state)
{
    (void)state;
    options.rate = 2000;
    options.fixed = true;
    options.at_once = 10000;
    options.connections = 2000;
    serve = serve_one_by_one;
    run_all();
    expect_all_ok(2000);
    assert_int_equal(result.due_end - result.begin, 1000 * MS);
    assert_int_equal(result.ok_before_then, 2000);
}

/* ---- sockets ---- */

static void sockets_are_used_again(void **state)
{
    (void)state;
    options.at_once = 1;
    options.connections = 10000;
    run_all();
    expect_all_ok(10000);
    assert_true(sockets_made < 50);
    assert_true(most_sockets_open <= 3);
}

static void but_not_when_that_fails(void **state)
{
    (void)state;
    disconnect_fails = true;
    options.connections = 1000;
    run_all();
    expect_all_ok(1000);
    assert_int_equal(sockets_made, 1000);
}

static void a_server_that_never_closes_costs_the_spares_and_no_more(void **state)
{
    (void)state;
    never_closes = true;
    options.connections = 1000;
    options.spares = 20;
    run_all();
    expect_all_ok(1000);
    assert_true(most_sockets_open <= 8 + 20);
    assert_int_equal(sockets_made, 1000);
}

static void without_spares_every_socket_is_closed(void **state)
{
    (void)state;
    options.connections = 100;
    options.spares = 0;
    run_all();
    expect_all_ok(100);
    assert_int_equal(most_sockets_open, 8);
    assert_int_equal(sockets_made, 100);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_closed_loop_reports_the_latencies_that_the_server_gave),
        TEST(an_open_loop_reports_the_latencies_that_the_server_gave),
        TEST(a_stop_of_200_ms_is_hidden_by_a_closed_loop),
        TEST(clients_that_wait_in_between_hide_it_too),
        TEST(a_stop_of_200_ms_is_shown_by_an_open_loop),
        TEST(who_times_out_is_in_the_percentiles),
        TEST(a_time_out_of_the_kernel_s_counts_no_less),
        TEST(who_is_lost_otherwise_is_not),
        TEST(what_was_measured_before_load_failed_is_kept),
        TEST(without_a_timer_or_events_the_rest_is_kept),
        TEST(connections_start_when_they_are_due),
        TEST(even_distances_are_even),
        TEST(the_seed_decides_when_connections_start),
        TEST(clients_wait_between_connections),
        TEST(connections_start_while_earlier_ones_hang),
        TEST(a_timer_that_is_late_makes_nothing_late),
        TEST(what_load_itself_starts_late_is_told),
        TEST(after_the_last_second_nothing_starts_and_that_is_counted),
        TEST(the_bound_of_connections_is_kept_and_told),
        TEST(a_bound_that_is_just_reached_holds_nothing),
        TEST(what_the_bound_holds_beyond_the_last_second_is_counted),
        TEST(a_server_that_falls_behind_is_seen_in_the_rate),
        TEST(a_server_that_keeps_up_achieves_the_rate),
        TEST(sockets_are_used_again),
        TEST(but_not_when_that_fails),
        TEST(a_server_that_never_closes_costs_the_spares_and_no_more),
        TEST(without_spares_every_socket_is_closed),
    };

    return run_chosen(tests);
}
