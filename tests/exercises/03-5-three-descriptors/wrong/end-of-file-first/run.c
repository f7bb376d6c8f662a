/*
 * run SOCKET COMMAND
 *
 * Has COMMAND run by the runner at SOCKET, with the standard input, output and error of this
 * process, and ends with the exit status of COMMAND.
 */
#include "request.h"

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { NOT_RUN = 125 }; /* exit status, as env(1) and nohup(1) have it */

int main(int argc, char **argv)
{
    const int standard[3] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    unsigned char status;

    if (argc != 3 || argv[2][0] == '\0') {
        fprintf(stderr, "usage: %s SOCKET COMMAND\n", program_invocation_short_name);
        return 2;
    }
    if (strlen(argv[1]) >= sizeof(address.sun_path) || strlen(argv[2]) >= COMMAND_MAX)
        errx(NOT_RUN, "an argument is too long");
    strcpy(address.sun_path, argv[1]);

    int channel = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (channel == -1 || connect(channel, (struct sockaddr *)&address, sizeof(address)) == -1)
        err(NOT_RUN, "%s", argv[1]);
    if (send_request(channel, argv[2], standard) == -1)
        err(NOT_RUN, "request");
    if (recv(channel, &status, 1, 0) != 1)
        errx(NOT_RUN, "the runner has refused the request");
    return status;
}
