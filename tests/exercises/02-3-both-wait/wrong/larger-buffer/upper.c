/*
 * upper < FILE
 *
 * Prints its standard input in capitals. The parent sends what it reads to a child through a
 * socketpair; the child answers in capitals, through the same socketpair.
 *
 * To see: it does this for a short input. With a long one it stands still, for ever.
 */
#include "process.h"

#include <ctype.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static char text[64 * 1024];

/* write(2) may take less than it is given: go on until all of it is gone. */
static void write_all(int to, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t written = write(to, data, len);
        if (written == -1)
            err(EXIT_FAILURE, "write");
        data += written;
        len -= (size_t)written;
    }
}

/* Reads what there is, at most `text`. Returns 0 at end-of-file. */
static size_t read_some(int from)
{
    ssize_t n = read(from, text, sizeof(text));

    if (n == -1)
        err(EXIT_FAILURE, "read");
    return (size_t)n;
}

/* The child: answers all that it is sent. */
static void answer(int channel)
{
    size_t len;

    while ((len = read_some(channel)) > 0) {
        for (size_t i = 0; i < len; i++)
            text[i] = (char)toupper((unsigned char)text[i]);
        write_all(channel, text, len);
    }
}

/* The parent: sends its standard input through the channel, and prints what comes back. */
static void ask(int channel)
{
    size_t len;

    while ((len = read_some(STDIN_FILENO)) > 0)
        write_all(channel, text, len);
    shutdown(channel, SHUT_WR); /* end-of-file for the child; its answers still come */
    while ((len = read_some(channel)) > 0)
        write_all(STDOUT_FILENO, text, len);
}

int main(void)
{
    int ends[2]; /* of the channel: [0] is the parent's, [1] the child's */
    int status;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == -1)
        err(EXIT_FAILURE, "socketpair");
    for (int i = 0; i < 2; i++)
        setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &(int){1024 * 1024}, sizeof(int));
    pid_t child = fork_child();
    if (child == -1)
        err(EXIT_FAILURE, "fork");
    if (child == 0) {
        close(ends[0]);
        answer(ends[1]);
        return EXIT_SUCCESS;
    }
    close(ends[1]);
    ask(ends[0]);
    if (waitpid(child, &status, 0) == -1)
        err(EXIT_FAILURE, "waitpid");
    return status == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
