/* For MSG_CMSG_CLOEXEC, wherever this file is compiled. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "fdpass.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SCM_PIDFD /* since Linux 6.5 the kernel itself may send one: SO_PASSPIDFD, unix(7) */
#define SCM_PIDFD 0x04
#endif

/* Room for one control message with one descriptor, aligned as a cmsghdr must be. */
union control {
    struct cmsghdr align;
    char space[CMSG_SPACE(sizeof(int))];
};

int write_fd(int channel, const void *data, size_t len, int fd)
{
    union control control = {0};
    struct iovec iov = {.iov_base = (void *)data, .iov_len = len};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

    if (len == 0) {
        errno = EINVAL;
        return -1;
    }
    if (fd != -1) {
        message.msg_control = control.space;
        message.msg_controllen = sizeof(control.space);

        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(fd));
        memcpy(CMSG_DATA(header), &fd, sizeof(fd)); /* cmsg(3): it need not be aligned */
    }

    while (iov.iov_len > 0) {
        ssize_t sent = sendmsg(channel, &message, MSG_NOSIGNAL);
        if (sent >= 0) {
            iov.iov_base = (char *)iov.iov_base + sent;
            iov.iov_len -= (size_t)sent;
            /* The descriptor has left with the first bytes; the rest must not bring it again. */
            message.msg_control = NULL;
            message.msg_controllen = 0;
        } else if (errno != EINTR) {
            return -1;
        }
    }
    return 0;
}

/*
 * Takes the one descriptor out of the control message of `message`, or -1 when there is none.
 * Returns false, with every descriptor closed, when it holds anything else.
 */
static bool take_descriptor(struct msghdr *message, int *fd)
{
    const struct cmsghdr *header = CMSG_FIRSTHDR(message); /* no room for another header */

    *fd = -1;
    if (!header)
        return true;
    bool socket_level = header->cmsg_level == SOL_SOCKET;
    bool as_asked = socket_level && header->cmsg_type == SCM_RIGHTS;
    if (!as_asked && !(socket_level && header->cmsg_type == SCM_PIDFD))
        return false; /* it holds no descriptor */
    /* Padding makes room for a second descriptor on 64-bit machines, and Linux uses it
     * (fact: padding-is-a-descriptor). */
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
        int received;
        memcpy(&received, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
        if (*fd == -1) {
            *fd = received;
        } else {
            close(received);
            as_asked = false;
        }
    }
    if (!as_asked && *fd != -1) {
        close(*fd);
        *fd = -1;
    }
    return as_asked;
}

ssize_t read_fd(int channel, void *data, size_t len, int *fd)
{
    union control control = {0};
    struct iovec iov = {.iov_base = data, .iov_len = len};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t received;

    *fd = -1;
    if (len == 0) { /* 0 bytes would look like end-of-file */
        errno = EINVAL;
        return -1;
    }

    do {
        message.msg_control = control.space;
        message.msg_controllen = sizeof(control.space);
        /* Close-on-exec from the first moment: there is no gap for a fork and exec to slip in. */
        received = recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
    } while (received == -1 && errno == EINTR);
    if (received == -1)
        return -1;

    bool as_asked = take_descriptor(&message, fd);
    int error = 0;
    if (!as_asked || (received == 0 && *fd != -1)) /* an empty datagram with a descriptor */
        error = EPROTO;
    else if (message.msg_flags & MSG_CTRUNC) /* more was sent than arrived: did any arrive? */
        error = *fd == -1 ? EMFILE : EPROTO;
    else if (message.msg_flags & MSG_TRUNC)
        error = EMSGSIZE;

    if (error != 0) {
        if (*fd != -1)
            close(*fd);
        *fd = -1;
        errno = error;
        return -1;
    }
    return received;
}
