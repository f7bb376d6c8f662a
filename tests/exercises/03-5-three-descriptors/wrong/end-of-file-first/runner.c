/*
 * runner SOCKET
 *
 * Waits on the Unix-domain socket SOCKET for requests to run a command, and runs them in turn. A
 * request brings the descriptors that the command is to have as standard input, output and error:
 * so it reads from the terminal or file of whoever asked, and writes there. The reply is a byte,
 * its exit status.
 */
#include "process.h"
#include "request.h"

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs the command, waits for its end, and returns its exit status as sh(1) would. */
static unsigned char run(const char *command, const int fds[3])
{
    int status = 0;
    pid_t child = fork_child();

    if (child == -1) {
        warn("fork");
        return 126;
    }
    if (child == 0) {
        for (int i = 0; i < 3; i++)
            dup2(fds[i], i); /* the copy is not close-on-exec */
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    waitpid(child, &status, 0);
    return (unsigned char)(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static void serve(int connection)
{
    char command[COMMAND_MAX];
    int fds[3];

    int result = receive_request(connection, command, fds);
    if (result == -1)
        warn("request");
    if (result != 1)
        return;
    unsigned char status = run(command, fds);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    send(connection, &status, 1, MSG_NOSIGNAL); /* who asked may have gone */
}

/* Returns a listener on this path. Only the user of this process can connect, and run commands. */
static int listen_on(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof(address.sun_path))
        errx(EXIT_FAILURE, "%s: this path is too long for a socket", path);
    strcpy(address.sun_path, path);
    unlink(path); /* what the last run has left */
    mode_t mask = umask(077);
    if (listener == -1 || bind(listener, (struct sockaddr *)&address, sizeof(address)) == -1 ||
        listen(listener, SOMAXCONN) == -1)
        err(EXIT_FAILURE, "%s", path);
    umask(mask);
    return listener;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s SOCKET\n", program_invocation_short_name);
        return 2;
    }
    int listener = listen_on(argv[1]);
    printf("listening on %s\n", argv[1]);
    fflush(stdout);

    for (;;) {
        int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (connection == -1)
            err(EXIT_FAILURE, "accept");
        serve(connection);
        close(connection);
    }
}
