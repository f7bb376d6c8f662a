/*
 * pingpong [-t stream|seqpacket|dgram|pipe] [-n ROUNDS]
 *
 * A parent and a child talk over a channel: in both directions, with or without boundaries between
 * messages, until the end-of-file. Then they exchange one byte ROUNDS times against the clock.
 */
#include "arguments.h"
#include "output.h"
#include "process.h"
#include "stopwatch.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct kind {
    const char *name;
    int type; /* for socketpair; 0 for pipes */
} kinds[] = {
    {"stream", SOCK_STREAM},
    {"seqpacket", SOCK_SEQPACKET},
    {"dgram", SOCK_DGRAM},
    {"pipe", 0},
};

/* What one process has of a channel: the same descriptor twice, unless the channel is two pipes. */
struct end {
    int in, out;
};

static void open_channel(const struct kind *kind, struct end ends[2])
{
    int forth[2], back[2];

    if (kind->type != 0) { /* one carries both directions: socketpair(2) */
        if (socketpair(AF_UNIX, kind->type | SOCK_CLOEXEC, 0, forth) == -1)
            err(EXIT_FAILURE, "socketpair");
        ends[0] = (struct end){.in = forth[0], .out = forth[0]};
        ends[1] = (struct end){.in = forth[1], .out = forth[1]};
    } else { /* a pipe carries one (pipe(7)): it takes two */
        if (pipe2(forth, O_CLOEXEC) == -1 || pipe2(back, O_CLOEXEC) == -1)
            err(EXIT_FAILURE, "pipe");
        ends[0] = (struct end){.in = back[0], .out = forth[1]};
        ends[1] = (struct end){.in = forth[0], .out = back[1]};
    }
}

static void close_end(struct end end)
{
    close(end.in);
    if (end.out != end.in)
        close(end.out);
}

static void say(struct end end, const char *text)
{
    if (write(end.out, text, strlen(text)) == -1)
        err(EXIT_FAILURE, "write");
}

/* Reads what one read gives into `text`. Returns false at end-of-file. */
static bool hear(struct end end, char text[64])
{
    ssize_t n = read(end.in, text, 63);

    if (n == -1)
        err(EXIT_FAILURE, "read");
    text[n] = '\0';
    return n > 0;
}

/* Forks a child that runs `child` on its end of a new channel. The parent's end goes to `mine`. */
static pid_t start(const struct kind *kind, void (*child)(struct end), struct end *mine)
{
    struct end ends[2];

    open_channel(kind, ends);
    pid_t pid = fork_child();
    if (pid == -1)
        err(EXIT_FAILURE, "fork");
    if (pid == 0) {
        /* Each side closes what belongs to the other. A reader that keeps a writing end open
         * waits for its own end-of-file, for ever.
         * (fact: an-own-copy-keeps-end-of-file-away) */
        close_end(ends[0]);
        child(ends[1]);
        close_end(ends[1]);
        exit(EXIT_SUCCESS);
    }
    close_end(ends[1]);
    *mine = ends[0];
    return pid;
}

static void wait_for(pid_t child)
{
    int status;

    if (waitpid(child, &status, 0) == -1)
        err(EXIT_FAILURE, "waitpid");
    if (status != 0)
        errx(EXIT_FAILURE, "the child has failed");
}

static void answer_ping(struct end end)
{
    char text[64];

    hear(end, text);
    printf("  child hears \"%s\", says \"pong\"\n", text);
    say(end, "pong");
}

static void show_directions(const struct kind *kind)
{
    char text[64];
    struct end end;
    pid_t child = start(kind, answer_ping, &end);

    puts("both directions:");
    puts("  parent says \"ping\"");
    say(end, "ping");
    hear(end, text);
    printf("  parent hears \"%s\"\n", text);
    wait_for(child);
    close_end(end);
}

static void say_three(struct end end)
{
    say(end, "one");
    say(end, "two");
    say(end, "three");
}

static void show_boundaries(const struct kind *kind)
{
    char text[64];
    struct end end;
    pid_t child = start(kind, say_three, &end);

    puts("boundaries and end-of-file: the child says \"one\", \"two\", \"three\" and ends");
    wait_for(child); /* now all is in the channel, and its other end is closed */
    fcntl(end.in, F_SETFL, O_NONBLOCK);
    for (int reads = 1;; reads++) {
        ssize_t n = read(end.in, text, sizeof(text));
        if (n > 0) {
            printf("  read %d gives \"%.*s\"\n", reads, (int)n, text);
        } else if (n == 0) {
            printf("  read %d gives 0, end-of-file\n", reads);
            break;
        } else if (errno == EAGAIN) {
            printf("  read %d would wait for ever: no end-of-file on this channel\n", reads);
            break;
        } else {
            err(EXIT_FAILURE, "read");
        }
    }
    close_end(end);
}

static void answer_all(struct end end)
{
    char byte;

    while (read(end.in, &byte, 1) == 1 && byte != '.')
        if (write(end.out, &byte, 1) != 1)
            err(EXIT_FAILURE, "write");
}

static void show_time(const struct kind *kind, int64_t rounds)
{
    struct end end;
    char byte = '!';
    pid_t child = start(kind, answer_all, &end);

    int64_t begin = now_ns();
    for (int64_t i = 0; i < rounds; i++)
        if (write(end.out, &byte, 1) != 1 || read(end.in, &byte, 1) != 1)
            errx(EXIT_FAILURE, "the child has gone");
    double us = (double)(now_ns() - begin) / 1e3;

    say(end, "."); /* a datagram channel has no end-of-file that could say it */
    wait_for(child);
    close_end(end);
    printf("time: %" PRId64 " round trips of one byte, %.2f µs each\n", rounds,
           us / (double)rounds);
}

static const char usage[] = "[-t stream|seqpacket|dgram|pipe] [-n ROUNDS]\n"
                            "  -t KIND    the kind of channel (stream)\n"
                            "  -n ROUNDS  round trips to time (10000)\n"
                            "  -h         print this\n";

static const struct kind *find_kind(const char *name)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    warnx("-t %s: no kind of channel", name);
    usage_mistake(usage);
}

int main(int argc, char **argv)
{
    const struct kind *kind = &kinds[0];
    int64_t rounds = 10000;
    int option;

    output_begin();
    argv[0] = program_invocation_short_name; /* by which getopt begins its messages */
    while ((option = getopt(argc, argv, "t:n:h")) != -1) {
        switch (option) {
        case 't':
            kind = find_kind(optarg);
            break;
        case 'n':
            rounds = option_number('n', "rounds", 1, 100000000, usage);
            break;
        case 'h':
            usage_help(usage);
        default:
            usage_mistake(usage);
        }
    }
    expect_no_more_arguments(argc, argv, usage);

    setvbuf(stdout, NULL, _IOLBF, 0); /* two processes write lines to it, in turn */
    printf("a channel of kind %s\n", kind->name);
    output_check();
    show_directions(kind);
    show_boundaries(kind);
    show_time(kind, rounds);
    return EXIT_SUCCESS;
}
