/*
 * post < FILE
 *
 * Sends each line of its standard input as a message through a socketpair. A child prints each
 * message that it receives, on a line of its own, with its number.
 *
 * To see: the child receives several lines as one message.
 */
#include "process.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MESSAGE_MAX = 1024 * 1024 };

static char message[MESSAGE_MAX];

/* send(2) may take less than it is given: go on until all of it is gone. */
static void send_all(int channel, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(channel, data, len, MSG_NOSIGNAL);
        if (sent == -1)
            err(EXIT_FAILURE, "send");
        data += sent;
        len -= (size_t)sent;
    }
}

/* Sends one message, of 1 to MESSAGE_MAX bytes. */
static void send_message(int channel, const char *data, size_t len)
{
    send_all(channel, data, len);
}

/* Receives one message, into `message`. Returns its length, or 0 when no more will come. */
static size_t receive_message(int channel)
{
    ssize_t received = recv(channel, message, sizeof(message), 0);

    if (received == -1)
        err(EXIT_FAILURE, "recv");
    return (size_t)received;
}

/* The child: prints what it receives. */
static void print_messages(int channel)
{
    size_t len;

    for (long number = 1; (len = receive_message(channel)) > 0; number++) {
        printf("%ld: ", number);
        fwrite(message, 1, len, stdout);
        putchar('\n');
    }
    if (fflush(stdout) == EOF)
        err(EXIT_FAILURE, "stdout");
}

/* The parent: sends each line that is not empty, without its newline. */
static void send_lines(int channel)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t len;

    while ((len = getline(&line, &size, stdin)) != -1) {
        if (line[len - 1] == '\n')
            len--;
        if (len > MESSAGE_MAX)
            errx(EXIT_FAILURE, "a line of %zd bytes is too long", len);
        if (len > 0)
            send_message(channel, line, (size_t)len);
    }
    free(line);
    if (ferror(stdin))
        err(EXIT_FAILURE, "standard input");
}

int main(void)
{
    int ends[2]; /* of the channel: [0] is the parent's, [1] the child's */
    int status;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == -1)
        err(EXIT_FAILURE, "socketpair");
    pid_t child = fork_child();
    if (child == -1)
        err(EXIT_FAILURE, "fork");
    if (child == 0) {
        close(ends[0]);
        print_messages(ends[1]);
        return EXIT_SUCCESS;
    }
    close(ends[1]);
    send_lines(ends[0]);
    close(ends[0]); /* end-of-file for the child */
    if (waitpid(child, &status, 0) == -1)
        err(EXIT_FAILURE, "waitpid");
    return status == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
