/*
 * naive: what becomes of a receiver that believes what it is sent (chapter 3).
 *
 * A sender that is not friendly puts two descriptors into each message. It meets a receiver that
 * takes the first control message for what it hopes it is, as much short code does, and then
 * read_fd.
 */
#include "fdpass.h"
#include "process.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MESSAGES = 10, LIMIT = 12 }; /* the receiver may have descriptors 0 to LIMIT - 1 */

/* Sends one byte with two descriptors. */
static void send_two(int channel, int fd)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(2 * sizeof(int))];
    } control = {0};
    struct iovec iov = {.iov_base = "!", .iov_len = 1};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.space,
                             .msg_controllen = sizeof(control.space)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(2 * sizeof(int));
    memcpy(CMSG_DATA(header), (int[]){fd, fd}, 2 * sizeof(int));
    if (sendmsg(channel, &message, MSG_NOSIGNAL) == -1)
        err(EXIT_FAILURE, "sendmsg");
}

/* Believes the sender: no look at level, type, length, MSG_CTRUNC or a second descriptor. */
static ssize_t naive_read_fd(int channel, void *data, size_t len, int *fd)
{
    static union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = data, .iov_len = len};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.space,
                             .msg_controllen = sizeof(control.space)};
    ssize_t received = recvmsg(channel, &message, 0);

    if (received > 0)
        memcpy(fd, CMSG_DATA(&control.align), sizeof(*fd));
    return received;
}

/* How many descriptors this process has open. */
static int count_open(void)
{
    int count = 0, error = errno;

    for (int fd = 0; fd < LIMIT; fd++)
        count += fcntl(fd, F_GETFD) != -1;
    errno = error;
    return count;
}

static void receive(int channel, ssize_t (*receiver)(int, void *, size_t, int *))
{
    const struct rlimit limit = {LIMIT, LIMIT};
    int before = count_open(), log = -1;

    setrlimit(RLIMIT_NOFILE, &limit);
    for (int i = 1; i <= MESSAGES; i++) {
        char byte;
        int fd = -1;
        if (i == MESSAGES) {
            log = open("/dev/null", O_WRONLY | O_CLOEXEC);
            printf("  now the receiver opens its log: descriptor %d\n", log);
        }
        ssize_t received = receiver(channel, &byte, 1, &fd);
        printf("  message %2d: ", i);
        if (received == -1)
            printf("refused, %s", strerror(errno));
        else
            printf("received descriptor %d, and closed it", fd);
        if (fd != -1)
            close(fd);
        printf("; open that should not be: %d\n",
               count_open() - before - (fcntl(log, F_GETFD) != -1));
    }
    if (fcntl(log, F_GETFD) == -1)
        printf("  and the log is closed: in message %d nothing came, and %d was an old number\n",
               MESSAGES, log);
    else
        puts("  and the log is open");
}

static void show(const char *title, ssize_t (*receiver)(int, void *, size_t, int *))
{
    int channel[2], file = open("/dev/null", O_RDONLY | O_CLOEXEC);

    puts(title);
    fflush(stdout);
    if (file == -1 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) == -1)
        err(EXIT_FAILURE, "socketpair");
    pid_t child = fork_child();
    if (child == -1)
        err(EXIT_FAILURE, "fork");
    if (child == 0) {
        close(channel[0]);
        close(file);
        receive(channel[1], receiver);
        exit(EXIT_SUCCESS);
    }
    close(channel[1]);
    for (int i = 0; i < MESSAGES; i++)
        send_two(channel[0], file);
    int status;
    if (waitpid(child, &status, 0) == -1 || status != 0)
        errx(EXIT_FAILURE, "the receiver has failed");
    close(channel[0]);
    close(file);
}

int main(void)
{
    for (int fd = STDERR_FILENO + 1; fd < 256; fd++)
        close(fd); /* so that the numbers are small ones */
    show("a credulous receiver:", naive_read_fd);
    show("read_fd:", read_fd);
    return EXIT_SUCCESS;
}
