/*
 * give                   passes the descriptor of a file to itself, and says what came
 * give CHANNEL LEN FD    for the test: calls write_fd once, and says what it returned
 */
#include "fdpass.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void interrupted(int number)
{
    (void)number;
    if (write(STDOUT_FILENO, "interrupted\n", 12) != 12)
        _exit(1);
}

/* Sends `len` bytes: 0, 1, ... 250, 0, 1, ... */
static int give_once(int channel, size_t len, int fd)
{
    struct sigaction action = {.sa_handler = interrupted}; /* no SA_RESTART: EINTR it is */
    char *data = malloc(len + 1);

    if (!data || sigaction(SIGUSR1, &action, NULL) == -1)
        err(EXIT_FAILURE, "cannot start");
    for (size_t i = 0; i < len; i++)
        data[i] = (char)(i % 251);
    signal(SIGPIPE, SIG_DFL);
    setvbuf(stdout, NULL, _IOLBF, 0);

    printf("sending\n");
    errno = 0;
    int result = write_fd(channel, data, len, fd);
    int error = errno;
    printf("returned %d %d %s\n", result, error, fcntl(fd, F_GETFD) == -1 ? "closed" : "open");
    if (sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
        printf("SIGPIPE has another action than before\n");
    free(data);
    return EXIT_SUCCESS;
}

static int demonstrate(void)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    char data[16];
    struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    struct stat left, arrived;
    int channel[2], came;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    if (fd == -1 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) == -1)
        err(EXIT_FAILURE, "cannot start");
    if (write_fd(channel[0], "hello", 5, fd) == -1)
        err(EXIT_FAILURE, "write_fd");
    ssize_t count = recvmsg(channel[1], &message, MSG_DONTWAIT);
    if (count == -1)
        err(EXIT_FAILURE, "write_fd said that all is sent, but recvmsg");
    printf("\"%.*s\" arrived", (int)count, data);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
        printf(", and no descriptor with it\n");
        return EXIT_FAILURE;
    }
    memcpy(&came, CMSG_DATA(header), sizeof(came));
    if (fstat(fd, &left) == -1 || fstat(came, &arrived) == -1)
        err(EXIT_FAILURE, "fstat");
    bool same = left.st_dev == arrived.st_dev && left.st_ino == arrived.st_ino;
    printf("; descriptor %d has left, %d has come, for %s file\n", fd, came,
           same ? "the same" : "another");
    return same ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    if (argc == 4)
        return give_once(atoi(argv[1]), (size_t)atol(argv[2]), atoi(argv[3]));
    return demonstrate();
}
