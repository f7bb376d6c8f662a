/*
 * take                       passes the descriptor of a file to itself, and says what came
 * take CHANNEL LEN [ROOM]    for the test: calls read_fd once, and says what it returned; ROOM
 *                            descriptors more, at most, can be opened meanwhile
 */
#include "fdpass.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST = 256 }; /* descriptors are looked for below this number */

static void interrupted(int number)
{
    (void)number;
    if (write(STDOUT_FILENO, "interrupted\n", 12) != 12)
        _exit(1);
}

static bool closed_on_exec = true; /* so far every call of recvmsg has asked for it */

/* In the place of the C library's. */
ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    closed_on_exec = closed_on_exec && flags & MSG_CMSG_CLOEXEC;
    return syscall(SYS_recvmsg, fd, message, flags);
}

/* close(2) may change errno, also when it succeeds. This one does. */
int close(int fd)
{
    long result = syscall(SYS_close, fd);

    if (result == 0)
        errno = EXDEV;
    return (int)result;
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) != -1;
}

/* Prints what was returned, and each descriptor that was opened or closed meanwhile. */
static int take_once(int channel, size_t len, int room)
{
    struct sigaction action = {.sa_handler = interrupted}; /* no SA_RESTART: EINTR it is */
    struct rlimit before, limited;
    bool was_open[MOST];
    char *data = calloc(len + 1, 1);
    int fd = -2;

    if (!data || sigaction(SIGUSR1, &action, NULL) == -1)
        err(EXIT_FAILURE, "cannot start");
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 0; i < MOST; i++)
        was_open[i] = is_open(i);
    if (room >= 0) {
        rlim_t limit = 0;
        for (int left = room; left >= 0; limit++)
            left -= !was_open[limit];
        getrlimit(RLIMIT_NOFILE, &before);
        limited = (struct rlimit){.rlim_cur = limit - 1, .rlim_max = before.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &limited) == -1)
            err(EXIT_FAILURE, "setrlimit");
    }

    printf("receiving\n");
    errno = 0;
    ssize_t count = read_fd(channel, data, len, &fd);
    int error = errno;
    if (room >= 0)
        setrlimit(RLIMIT_NOFILE, &before);

    printf("returned %zd %d %d ", count, error, fd);
    for (ssize_t i = 0; i < count && i < (ssize_t)len; i++)
        printf("%02x", (unsigned char)data[i]);
    printf("\n");
    if (!closed_on_exec)
        printf("recvmsg was called without MSG_CMSG_CLOEXEC\n");
    for (int i = 0; i < MOST; i++) {
        struct stat status;
        if (was_open[i] && !is_open(i))
            printf("closed %d\n", i);
        if (!was_open[i] && fstat(i, &status) == 0)
            printf("opened %d %ju %ju %s\n", i, (uintmax_t)status.st_dev, (uintmax_t)status.st_ino,
                   fcntl(i, F_GETFD) & FD_CLOEXEC ? "close-on-exec" : "survives-exec");
    }
    free(data);
    return EXIT_SUCCESS;
}

static int demonstrate(void)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec iov = {.iov_base = "hello", .iov_len = 5};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    struct stat left, arrived;
    char data[16];
    int channel[2], came;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    if (fd == -1 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) == -1)
        err(EXIT_FAILURE, "cannot start");
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(fd));
    memcpy(CMSG_DATA(header), &fd, sizeof(fd));
    if (sendmsg(channel[0], &message, MSG_NOSIGNAL) == -1)
        err(EXIT_FAILURE, "sendmsg");

    ssize_t count = read_fd(channel[1], data, sizeof(data), &came);
    if (count == -1)
        err(EXIT_FAILURE, "read_fd");
    printf("\"%.*s\" arrived", (int)count, data);
    if (came == -1) {
        printf(", and no descriptor with it\n");
        return EXIT_FAILURE;
    }
    if (fstat(fd, &left) == -1 || fstat(came, &arrived) == -1)
        err(EXIT_FAILURE, "; fstat");
    bool same = left.st_dev == arrived.st_dev && left.st_ino == arrived.st_ino;
    printf("; descriptor %d has left, %d has come, for %s file\n", fd, came,
           same ? "the same" : "another");
    return same ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    if (argc >= 3)
        return take_once(atoi(argv[1]), (size_t)atol(argv[2]), argc > 3 ? atoi(argv[3]) : -1);
    return demonstrate();
}
