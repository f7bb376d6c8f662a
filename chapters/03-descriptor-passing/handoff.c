/*
 * handoff [FILE]
 *
 * Two processes share nothing but a channel. The giver opens a file and accepts a connection; the
 * taker, which was forked before and never opened either, reads from both. The numbers differ, the
 * open file description behind them is the same: what the taker reads moves the giver's offset.
 */
#include "arguments.h"
#include "fdpass.h"
#include "listener.h"
#include "output.h"
#include "process.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const char usage[] = "[FILE]\n";

enum { PIECE = 16 }; /* bytes that each side reads of the file */

static void print_read(const char *who, const char *what, int fd)
{
    char piece[PIECE];
    ssize_t n = read(fd, piece, sizeof(piece));

    if (n == -1)
        err(EXIT_FAILURE, "%s: read", what);
    printf("%s  reads %zd bytes from descriptor %d, the %s: \"", who, n, fd, what);
    for (ssize_t i = 0; i < n; i++)
        putchar(piece[i] >= ' ' && piece[i] <= '~' ? piece[i] : '.');
    puts("\"");
}

static void take(int channel)
{
    char what[16];
    int fd;
    ssize_t n;

    while ((n = read_fd(channel, what, sizeof(what) - 1, &fd)) > 0) {
        what[n] = '\0';
        print_read("taker", what, fd);
        close(fd);
        if (write_fd(channel, "done", 4, -1) == -1)
            err(EXIT_FAILURE, "taker: write_fd");
    }
    if (n == -1)
        err(EXIT_FAILURE, "taker: read_fd");
    puts("taker  sees end-of-file on the channel and ends");
}

/* Hands `fd` over and waits until the taker has read from it. */
static void give(int channel, const char *what, int fd)
{
    char done[4];
    int none;

    printf("giver  hands over descriptor %d, the %s\n", fd, what);
    if (write_fd(channel, what, strlen(what), fd) == -1)
        err(EXIT_FAILURE, "giver: write_fd");
    if (read_fd(channel, done, sizeof(done), &none) <= 0)
        errx(EXIT_FAILURE, "the taker has gone");
}

static int open_file(const char *path)
{
    static const char text[] = "the giver's part and the taker's\n";
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : memfd_create("nameless", MFD_CLOEXEC);

    if (fd == -1)
        err(EXIT_FAILURE, "%s", path ? path : "memfd_create");
    /* The file of our own has no name in any folder, by which the taker could open it. */
    if (!path && (write(fd, text, strlen(text)) == -1 || lseek(fd, 0, SEEK_SET) == -1))
        err(EXIT_FAILURE, "memfd");
    return fd;
}

/* Returns one end of a TCP connection of this process with itself, that has bytes to read. */
static int open_connection(void)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    int listener = listener_open("127.0.0.1", 0);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (listener == -1 || client == -1 ||
        getsockname(listener, (struct sockaddr *)&address, &length) == -1 ||
        connect(client, (struct sockaddr *)&address, length) == -1 ||
        send(client, "from the network", 16, MSG_NOSIGNAL) != 16)
        err(EXIT_FAILURE, "connection");
    int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (connection == -1)
        err(EXIT_FAILURE, "accept");
    close(listener);
    close(client); /* the bytes and the end-of-file are on their way */
    return connection;
}

int main(int argc, char **argv)
{
    int channel[2], option;

    output_begin();
    argv[0] = program_invocation_short_name; /* by which getopt begins its messages */
    while ((option = getopt(argc, argv, "h")) != -1) {
        if (option == 'h')
            usage_help(usage);
        usage_mistake(usage);
    }
    const char *path = optind < argc ? argv[optind++] : NULL;
    expect_no_more_arguments(argc, argv, usage);
    setvbuf(stdout, NULL, _IOLBF, 0); /* two processes write lines to it, in turn */

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) == -1)
        err(EXIT_FAILURE, "socketpair");
    pid_t taker = fork_child();
    if (taker == -1)
        err(EXIT_FAILURE, "fork");
    if (taker == 0) {
        close(channel[0]); /* or the taker would wait for its own end-of-file */
        take(channel[1]);
        close(channel[1]);
        return EXIT_SUCCESS;
    }
    close(channel[1]);

    int file = open_file(path);
    print_read("giver", "file", file);
    output_check();
    give(channel[0], "file", file);
    printf("giver  finds its offset at %jd: one open file description, two descriptors\n",
           (intmax_t)lseek(file, 0, SEEK_CUR));

    int connection = open_connection();
    give(channel[0], "connection", connection);
    close(connection);

    close(channel[0]);
    int status;
    if (waitpid(taker, &status, 0) == -1 || status != 0)
        errx(EXIT_FAILURE, "the taker has failed");
    return EXIT_SUCCESS;
}
