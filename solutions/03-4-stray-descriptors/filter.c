/*
 * filter SOCKET COMMAND [ARGUMENT...]
 *
 * Waits on the Unix-domain socket SOCKET for clients that pass it an open descriptor. For each, in
 * turn, it runs COMMAND with that descriptor as standard input, and what COMMAND says goes to the
 * client. A client need not be able to run COMMAND; and COMMAND need not be able to open the file.
 */
#include "process.h"

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

/* Receives a byte and the descriptor that comes with it. Returns that, or -1 when none came. Of
 * several descriptors it keeps the first. */
static int receive_descriptor(int connection)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    char byte;
    int first = -1;
    struct iovec iov = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

    message.msg_control = control.space;
    message.msg_controllen = sizeof(control.space);
    if (recvmsg(connection, &message, MSG_CMSG_CLOEXEC) == -1)
        return -1;

    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
        return -1;
    /* With the padding there is room for a second one. Whatever came is open, and ours to close. */
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
        int received;
        memcpy(&received, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
        if (i == 0)
            first = received;
        else
            close(received);
    }
    return first;
}

/* Runs the command between the two descriptors, and waits for its end. */
static void run(char **command, int input, int output)
{
    pid_t child = fork_child();

    if (child == -1) {
        warn("fork");
        return;
    }
    if (child == 0) {
        dup2(input, STDIN_FILENO);
        dup2(output, STDOUT_FILENO);
        execvp(command[0], command);
        warn("%s", command[0]);
        _exit(127);
    }
    waitpid(child, NULL, 0);
}

/* Returns a listener on this path, which only the user of this process can connect to. */
static int listen_on(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

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
    if (argc < 3) {
        fprintf(stderr, "usage: %s SOCKET COMMAND [ARGUMENT...]\n", program_invocation_short_name);
        return 2;
    }
    int listener = listen_on(argv[1]);
    printf("listening on %s\n", argv[1]);
    fflush(stdout);

    for (;;) {
        int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (connection == -1)
            err(EXIT_FAILURE, "accept");
        int input = receive_descriptor(connection);
        if (input != -1) {
            run(argv + 2, input, connection);
            close(input);
        }
        close(connection);
    }
}
