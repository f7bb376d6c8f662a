/*
 * leaky WORKER COUNT: a master that forgets close-on-exec (chapter 5). Starts COUNT workers of that
 * program, each when the one before is idle, prints the port of its listener, and waits. Only
 * show.py runs it.
 */
#include <arpa/inet.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0); /* the first fault: no SOCK_CLOEXEC */

    if (argc != 3)
        errx(2, "usage: leaky WORKER COUNT");
    if (listener == -1 || bind(listener, (struct sockaddr *)&address, length) == -1 ||
        listen(listener, SOMAXCONN) == -1 ||
        getsockname(listener, (struct sockaddr *)&address, &length) == -1)
        err(EXIT_FAILURE, "listener");

    for (int i = 0; i < atoi(argv[2]); i++) {
        int channel[2];
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, channel) == -1) /* and the second */
            err(EXIT_FAILURE, "socketpair");
        pid_t worker = fork();
        if (worker == -1)
            err(EXIT_FAILURE, "fork");
        if (worker == 0) {
            dup2(channel[1], STDIN_FILENO);
            execl(argv[1], argv[1], (char *)NULL);
            err(EXIT_FAILURE, "%s", argv[1]);
        }
        close(channel[1]);
        char report;
        if (read(channel[0], &report, 1) != 1) /* it is idle */
            errx(EXIT_FAILURE, "%s does not report", argv[1]);
    }
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    pause();
    return EXIT_SUCCESS;
}
