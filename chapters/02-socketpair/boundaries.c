/*
 * boundaries: a message is lost because a stream keeps no boundaries (chapter 2;
 * fact: boundaries-of-the-kinds).
 *
 * A writer sends MESSAGES messages; a reader takes each read for one. First the writer waits for an
 * answer to each message, and all is well. Then it does not wait.
 */
#include "process.h"

#include <err.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MESSAGES = 1000 };

static void write_messages(int channel, bool wait_for_answer)
{
    for (int i = 1; i <= MESSAGES; i++) {
        char message[16], answer;
        int length = snprintf(message, sizeof(message), "<%d>", i);
        if (write(channel, message, (size_t)length) != length)
            err(EXIT_FAILURE, "write");
        if (wait_for_answer && read(channel, &answer, 1) != 1)
            err(EXIT_FAILURE, "read");
    }
}

/* Takes each read for a message. */
static void read_messages(int channel, bool answer)
{
    char message[48], worst[48] = "";
    int messages = 0;
    ssize_t length;

    while ((length = read(channel, message, sizeof(message) - 1)) > 0) {
        message[length] = '\0';
        messages++;
        if (strlen(message) > strlen(worst))
            strcpy(worst, message);
        if (answer && write(channel, "!", 1) != 1)
            err(EXIT_FAILURE, "write");
    }
    printf("  %d messages were written; the reader has counted %d\n", MESSAGES, messages);
    printf("  the longest \"message\" was %s\n", worst);
}

static void show(const char *title, bool wait_for_answer)
{
    int channel[2];

    puts(title);
    fflush(stdout);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) == -1)
        err(EXIT_FAILURE, "socketpair");
    pid_t writer = fork_child();
    if (writer == -1)
        err(EXIT_FAILURE, "fork");
    if (writer == 0) {
        close(channel[0]);
        write_messages(channel[1], wait_for_answer);
        _exit(EXIT_SUCCESS);
    }
    close(channel[1]);
    read_messages(channel[0], wait_for_answer);
    close(channel[0]);
    int status;
    if (waitpid(writer, &status, 0) == -1 || status != 0)
        errx(EXIT_FAILURE, "the writer has failed");
}

int main(void)
{
    show("a writer that waits for an answer to each message:", true);
    show("the same writer, that does not wait:", false);
    return EXIT_SUCCESS;
}
