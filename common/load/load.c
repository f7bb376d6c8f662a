/*
 * load: measures an echo server.
 *
 * CLIENTS clients in a closed loop: each connects, sends a message of random bytes, reads it back,
 * compares every byte, closes, and begins again. One process with epoll(7), so that it takes
 * little of the machine from the server that it measures. Bounded in count and in time.
 */
#include "cmdline.h"
#include "cputime.h"
#include "listener.h"
#include "samples.h"
#include "stopwatch.h"

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EXIT_LOST = 1, /* also for what keeps load itself from running */
    EXIT_USAGE = 2,
    SOURCES = 250,  /* source addresses, each with ports of its own */
    VARIETY = 4096, /* places in the random bytes where a message can begin */
    TICK_MS = 100,  /* how often time-outs and the progress bar are looked after */
    BUFFER = 256 * 1024,
    LINES = 256 * 1024, /* bytes of lines to choose from */
};

/* What can become of a connection. */
enum outcome { OK, REFUSED, RESET, CUT_SHORT, CORRUPT, TIMED_OUT, OUTCOMES };

static const char *const outcome_names[] = {"ok",        "refused", "reset",
                                            "cut short", "corrupt", "timed out"};

static struct options {
    const char *address;
    long port, clients, connections, seconds, bytes, messages, timeout;
    uint64_t seed;
    pid_t server; /* whose CPU time to measure; 0 for none */
    bool table;   /* tab-separated output */
    bool lines;   /* messages are lines of text */
    const char *latencies;
} options = {.address = "127.0.0.1",
             .port = 8083,
             .clients = 8,
             .connections = 10000,
             .seconds = 30,
             .bytes = 64,
             .messages = 1,
             .timeout = 10};

struct client {
    int fd;              /* -1 between connections */
    const char *message; /* in `random_bytes` */
    long sent, received; /* of this message */
    long messages_left;
    int64_t started;
};

static struct addrinfo *target;
static bool spread; /* the target is in 127.0.0.0/8: so can the sources be */
static char *random_bytes;
static size_t varieties = VARIETY, distance = 1; /* of the messages in `random_bytes` */
static int epoll;
static struct samples samples;
static long outcomes[OUTCOMES];
static long started, finished;
static int64_t deadline; /* no connection starts after it */

/* splitmix64: small, seedable, and good enough for bytes that only have to differ. */
static uint64_t next_random(void)
{
    uint64_t z = (options.seed += 0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

/* ---- one connection ---- */

/* Takes a source address in turn. With one alone, the ports of the closed connections, which stay
 * in TIME_WAIT for a minute, would run out. */
static void bind_source(int fd)
{
    struct sockaddr_in source = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(0x7f000001u | (uint32_t)(1 + started % SOURCES) << 16),
    };

    /* The port is chosen at connect, when the destination is known: it need only be free for that.
     */
    if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int)) == -1 ||
        bind(fd, (struct sockaddr *)&source, sizeof(source)) == -1)
        err(EXIT_LOST, "cannot bind a source address");
}

static void next_message(struct client *client)
{
    client->message = random_bytes + next_random() % varieties * distance;
    client->sent = client->received = 0;
}

static void finish(struct client *client, enum outcome outcome)
{
    if (outcome == OK && samples_add(&samples, now_ns() - client->started) == -1)
        err(EXIT_LOST, "samples");
    outcomes[outcome]++;
    finished++;
    close(client->fd);
    client->fd = -1;
}

static void finish_failed(struct client *client, const char *call)
{
    switch (errno) {
    case ECONNREFUSED:
        finish(client, REFUSED);
        break;
    case ECONNRESET:
    case EPIPE:
        finish(client, RESET);
        break;
    case ETIMEDOUT:
        finish(client, TIMED_OUT);
        break;
    default: /* not the server's doing */
        err(EXIT_LOST, "%s", call);
    }
}

/* Sends what the socket takes. Returns false when the connection has failed. */
static bool send_some(struct client *client)
{
    while (client->sent < options.bytes) {
        ssize_t n = send(client->fd, client->message + client->sent,
                         (size_t)(options.bytes - client->sent), MSG_NOSIGNAL);
        if (n == -1 && errno == EAGAIN) /* also while the connection is not yet established */
            return true;
        if (n == -1) {
            finish_failed(client, "send");
            return false;
        }
        client->sent += n;
    }
    return true;
}

/* Receives until there is no more: an end-of-file behind the last bytes raises no edge itself. */
static void receive_some(struct client *client)
{
    static char buffer[BUFFER];

    for (;;) {
        ssize_t n = recv(client->fd, buffer, sizeof(buffer), 0);
        if (n == -1 && errno == EAGAIN)
            return;
        if (n == -1) {
            finish_failed(client, "recv");
            return;
        }
        if (n == 0) {
            finish(client, CUT_SHORT);
            return;
        }
        if (n > client->sent - client->received || /* more than was sent */
            memcmp(buffer, client->message + client->received, (size_t)n) != 0) {
            finish(client, CORRUPT);
            return;
        }
        client->received += n;
        if (client->received == options.bytes) {
            if (--client->messages_left == 0) {
                finish(client, OK);
                return;
            }
            next_message(client);
            if (!send_some(client))
                return;
        }
    }
}

static void start(struct client *client)
{
    client->fd = socket(target->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd == -1)
        err(EXIT_LOST, "socket");
    if (spread)
        bind_source(client->fd);
    started++;
    client->messages_left = options.messages;
    next_message(client);

    client->started = now_ns();
    if (connect(client->fd, target->ai_addr, target->ai_addrlen) == -1 && errno != EINPROGRESS) {
        finish_failed(client, "connect");
        return;
    }
    /* Edge-triggered, for both directions: one call for the whole life of the connection. */
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = client};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, client->fd, &event) == -1)
        err(EXIT_LOST, "epoll_ctl");
    send_some(client); /* on loopback the connection is mostly established by now */
}

/* ---- all of them ---- */

static void show_progress(bool last)
{
    static int shown = -1;
    char bar[41];

    if (shown == -1)
        shown = isatty(STDERR_FILENO);
    if (!shown)
        return;
    if (last) {
        fputs("\r\033[K", stderr);
        return;
    }
    double by_count = (double)finished / (double)options.connections;
    double by_time = 1 - (double)(deadline - now_ns()) / 1e9 / (double)options.seconds;
    double part = by_count > by_time ? by_count : by_time;
    int length = (int)((part < 1 ? part : 1) * (double)(sizeof(bar) - 1));
    memset(bar, '.', sizeof(bar) - 1);
    memset(bar, '#', (size_t)length);
    bar[sizeof(bar) - 1] = '\0';
    fprintf(stderr, "\r[%s] %ld connections, %ld lost ", bar, finished, finished - outcomes[OK]);
}

static bool may_start(int64_t now)
{
    return started < options.connections && now < deadline;
}

/* True when every client has tried, and all that has happened is that they were refused. */
static bool nobody_listens(void)
{
    return finished >= options.clients && outcomes[REFUSED] == finished;
}

static void end_overdue(struct client *clients, int64_t now)
{
    for (long i = 0; i < options.clients; i++)
        if (clients[i].fd != -1 && now - clients[i].started > options.timeout * 1000000000)
            finish(&clients[i], TIMED_OUT);
}

/* Runs all connections. Returns the seconds that it took. */
static double run(void)
{
    struct epoll_event events[64];
    struct client *clients = calloc((size_t)options.clients, sizeof(*clients));
    if (!clients)
        err(EXIT_LOST, "clients");
    for (long i = 0; i < options.clients; i++)
        clients[i].fd = -1;

    int64_t begin = now_ns(), next_tick = begin;
    deadline = begin + options.seconds * 1000000000;
    for (;;) {
        int64_t now = now_ns();
        if (now >= next_tick) {
            end_overdue(clients, now);
            show_progress(false);
            next_tick = now + TICK_MS * 1000000;
        }
        /* A client whose connection has ended begins the next; most passes find one of few. */
        for (long i = 0; i < options.clients && started - finished < options.clients; i++)
            if (clients[i].fd == -1 && may_start(now))
                start(&clients[i]);
        if (started == finished && (!may_start(now) || nobody_listens()))
            break;

        int count = epoll_wait(epoll, events, sizeof(events) / sizeof(*events), TICK_MS);
        if (count == -1 && errno != EINTR)
            err(EXIT_LOST, "epoll_wait");
        for (int i = 0; i < count; i++) {
            struct client *client = events[i].data.ptr;
            if (send_some(client) && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                receive_some(client);
        }
    }
    show_progress(true);
    free(clients);
    return (double)(now_ns() - begin) / 1e9;
}

/* ---- set-up and report ---- */

static void parse_target(void)
{
    char service[16];
    const struct addrinfo wanted = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
    };

    snprintf(service, sizeof(service), "%ld", options.port);
    if (!address_valid(options.address) ||
        getaddrinfo(options.address, service, &wanted, &target) != 0)
        errx(EXIT_USAGE, "-a %s: not an IP address (such as 127.0.0.1 or ::1)", options.address);
    if (target->ai_family == AF_INET) {
        const struct sockaddr_in *address = (const struct sockaddr_in *)target->ai_addr;
        spread = ntohl(address->sin_addr.s_addr) >> 24 == 127;
    }
}

static void make_random_bytes(void)
{
    size_t length = (size_t)options.bytes;

    /* Messages of any bytes overlap. Lines cannot: they lie one behind the other, fewer if long. */
    if (options.lines) {
        distance = length;
        varieties = length < LINES ? LINES / length : 1;
    }
    size_t size = varieties * distance + length;
    random_bytes = malloc(size);
    if (!random_bytes)
        err(EXIT_LOST, "%ld bytes", options.bytes);
    for (size_t i = 0; i < size; i++) {
        uint64_t random = next_random() >> 32;
        random_bytes[i] = (char)(options.lines ? ' ' + random % ('~' - ' ' + 1) : random);
    }
    for (size_t i = length - 1; options.lines && i < size; i += length)
        random_bytes[i] = '\n';
}

static void allow_descriptors(void)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)options.clients + 16;

    if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
        err(EXIT_LOST, "getrlimit");
    if (limit.rlim_cur >= wanted)
        return;
    if (limit.rlim_max < wanted)
        errx(EXIT_LOST, "%ld clients: this process may open only %ju descriptors", options.clients,
             (uintmax_t)limit.rlim_max);
    limit.rlim_cur = wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
        err(EXIT_LOST, "setrlimit");
}

static int64_t server_cpu(void)
{
    int64_t ns = 0;

    if (options.server != 0 && cputime_tree(options.server, &ns) == -1)
        err(EXIT_LOST, "CPU time of process %d", (int)options.server);
    return ns;
}

static double own_cpu_us(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static const double percents[] = {50, 90, 99, 99.9, 100};

static double percentile_us(size_t which)
{
    return (double)samples_percentile(&samples, percents[which]) / 1e3;
}

static void print_table(double seconds, double server_us, double load_us)
{
    puts("clients\tbytes\tmessages\tconnections\tok\trefused\treset\tcut_short\tcorrupt\ttimed_out"
         "\tseconds\trate\tp50_us\tp90_us\tp99_us\tp99.9_us\tmax_us\tserver_us\tload_us");
    printf("%ld\t%ld\t%ld\t%ld", options.clients, options.bytes, options.messages, finished);
    for (int i = 0; i < OUTCOMES; i++)
        printf("\t%ld", outcomes[i]);
    printf("\t%.3f\t%.1f", seconds, (double)outcomes[OK] / seconds);
    for (size_t i = 0; i < sizeof(percents) / sizeof(*percents); i++)
        printf("\t%.1f", percentile_us(i));
    if (options.server != 0)
        printf("\t%.2f", server_us);
    else
        printf("\t-");
    printf("\t%.2f\n", load_us);
}

static void print_report(double seconds, double server_us, double load_us)
{
    printf("%ld connections to %s port %ld: %ld client%s, %ld message%s of %ld byte%s each\n",
           finished, options.address, options.port, options.clients,
           options.clients == 1 ? "" : "s", options.messages, options.messages == 1 ? "" : "s",
           options.bytes, options.bytes == 1 ? "" : "s");
    for (int i = 0; i < OUTCOMES; i++)
        printf("%s%ld %s", i == 0 ? "  " : ", ", outcomes[i], outcome_names[i]);
    if (outcomes[OK] == 0) {
        putchar('\n');
        return;
    }
    printf("\n  latency in µs: p50 %.1f, p90 %.1f, p99 %.1f, p99.9 %.1f, max %.1f\n",
           percentile_us(0), percentile_us(1), percentile_us(2), percentile_us(3),
           percentile_us(4));
    printf("  %.0f connections/s for %.2f s\n", (double)outcomes[OK] / seconds, seconds);
    printf("  CPU in µs a connection: load %.1f", load_us);
    if (options.server != 0)
        printf(", server %.1f", server_us);
    putchar('\n');
}

static void write_latencies(const char *path)
{
    FILE *file = fopen(path, "we");

    if (!file)
        err(EXIT_LOST, "%s", path);
    for (size_t i = 0; i < samples.count; i++)
        fprintf(file, "%.3f\n", (double)samples.ns[i] / 1e3);
    if (ferror(file) | fclose(file))
        err(EXIT_LOST, "%s", path);
}

static _Noreturn void usage(FILE *out, int status)
{
    fprintf(out,
            "usage: %s [-a ADDR] [-p PORT] [-c CLIENTS] [-n CONNECTIONS] [-d SECONDS]\n"
            "            [-b BYTES] [-m MESSAGES] [-t SECONDS] [-s SEED] [-P PID] [-l FILE] [-LT]\n"
            "  -a ADDR         the server's IPv4 or IPv6 address (127.0.0.1)\n"
            "  -p PORT         its port (8083)\n"
            "  -c CLIENTS      clients, each with one connection at a time (8)\n"
            "  -n CONNECTIONS  stop after so many connections (10000)\n"
            "  -d SECONDS      start no connection after so many seconds (30)\n"
            "  -b BYTES        length of a message (64)\n"
            "  -m MESSAGES     messages a connection, one after the other (1)\n"
            "  -t SECONDS      give a connection up after so many seconds (10)\n"
            "  -s SEED         seed of the random bytes (taken from the system)\n"
            "  -P PID          measure the CPU time of this process and its descendants\n"
            "  -l FILE         write all latencies to FILE, sorted, in µs\n"
            "  -L              messages are lines: printable bytes that a newline ends\n"
            "  -T              print tab-separated values\n"
            "  -h              print this\n"
            "Latency counts from connect until the last byte is back. Exits 1 when anything was\n"
            "lost, 2 after a mistake in its arguments.\n",
            program_invocation_short_name);
    exit(status);
}

static long number(int option, long low, long high)
{
    long value;

    if (parse_number(optarg, low, high, &value))
        return value;
    warnx("-%c %s: not a number from %ld to %ld", option, optarg, low, high);
    usage(stderr, EXIT_USAGE);
}

static void parse_arguments(int argc, char **argv)
{
    int option;

    if (getrandom(&options.seed, sizeof(options.seed), 0) == -1)
        err(EXIT_LOST, "getrandom");
    argv[0] = program_invocation_short_name; /* by which getopt's messages begin */
    while ((option = getopt(argc, argv, "a:p:c:n:d:b:m:t:s:P:l:LTh")) != -1) {
        switch (option) {
        case 'a':
            options.address = optarg;
            break;
        case 'p':
            options.port = number(option, 1, 65535);
            break;
        case 'c':
            options.clients = number(option, 1, 100000);
            break;
        case 'n':
            options.connections = number(option, 1, 100000000);
            break;
        case 'd':
            options.seconds = number(option, 1, 3600);
            break;
        case 'b':
            options.bytes = number(option, 1, 1 << 30);
            break;
        case 'm':
            options.messages = number(option, 1, 1000000);
            break;
        case 't':
            options.timeout = number(option, 1, 3600);
            break;
        case 's':
            options.seed = (uint64_t)number(option, 0, INT64_MAX);
            break;
        case 'P':
            options.server = (pid_t)number(option, 1, INT32_MAX);
            break;
        case 'l':
            options.latencies = optarg;
            break;
        case 'L':
            options.lines = true;
            break;
        case 'T':
            options.table = true;
            break;
        case 'h':
            usage(stdout, EXIT_SUCCESS);
        default:
            usage(stderr, EXIT_USAGE);
        }
    }
    if (optind < argc) {
        warnx("%s: one argument too many", argv[optind]);
        usage(stderr, EXIT_USAGE);
    }
}

int main(int argc, char **argv)
{
    parse_arguments(argc, argv);
    parse_target();
    make_random_bytes();
    allow_descriptors();
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll == -1)
        err(EXIT_LOST, "epoll_create1");

    int64_t server_before = server_cpu();
    double load_before = own_cpu_us();
    double seconds = run();
    double load_us = (own_cpu_us() - load_before) / (double)finished;
    double server_us = (double)(server_cpu() - server_before) / 1e3 / (double)finished;

    if (nobody_listens())
        warnx("nobody listens on %s port %ld: start a server first", options.address, options.port);
    samples_sort(&samples);
    if (options.latencies)
        write_latencies(options.latencies);
    if (options.table)
        print_table(seconds, server_us, load_us);
    else
        print_report(seconds, server_us, load_us);

    bool lost = outcomes[OK] < finished;
    samples_free(&samples);
    freeaddrinfo(target);
    free(random_bytes);
    close(epoll);
    return lost ? EXIT_LOST : EXIT_SUCCESS;
}
