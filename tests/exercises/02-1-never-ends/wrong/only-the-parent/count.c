/*
 * count < FILE
 *
 * Counts the lines and bytes of its standard input. The parent reads, and sends what it has read to
 * a child through a socketpair; the child counts until end-of-file.
 *
 * To see: it prints no result, and never ends.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static char buffer[64 * 1024];

/* The child: counts what comes through `channel`. */
static void count(int channel)
{
    long lines = 0, bytes = 0;
    ssize_t n;

    while ((n = read(channel, buffer, sizeof(buffer))) > 0) {
        bytes += n;
        for (ssize_t i = 0; i < n; i++)
            lines += buffer[i] == '\n';
    }
    if (n == -1)
        err(EXIT_FAILURE, "read");
    printf("%ld lines, %ld bytes\n", lines, bytes);
}

/* The parent: sends its standard input through `channel`. */
static void send_input(int channel)
{
    ssize_t n, sent;

    while ((n = read(STDIN_FILENO, buffer, sizeof(buffer))) > 0)
        for (ssize_t done = 0; done < n; done += sent) {
            sent = send(channel, buffer + done, (size_t)(n - done), MSG_NOSIGNAL);
            if (sent == -1)
                err(EXIT_FAILURE, "the child has gone");
        }
    if (n == -1)
        err(EXIT_FAILURE, "standard input");
}

int main(void)
{
    int ends[2]; /* of the channel: [0] is the parent's, [1] the child's */
    int status;

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == -1)
        err(EXIT_FAILURE, "socketpair");
    pid_t child = fork();
    if (child == -1)
        err(EXIT_FAILURE, "fork");
    if (child == 0) {
        count(ends[1]);
        return EXIT_SUCCESS;
    }
    close(ends[1]);
    send_input(ends[0]);
    close(ends[0]); /* all is said: end-of-file for the child */
    if (waitpid(child, &status, 0) == -1)
        err(EXIT_FAILURE, "waitpid");
    return status == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
