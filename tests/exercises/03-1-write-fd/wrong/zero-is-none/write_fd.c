/*
 * write_fd: sends bytes over a channel, and with them a descriptor.
 *
 * Its contract is in chapters/03-descriptor-passing/fdpass.h. The program `give` calls it, first
 * by hand to see it work, then by the test.
 */
#include "fdpass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

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
    if (fd > 0) {
        message.msg_control = control.space;
        message.msg_controllen = sizeof(control.space);

        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(fd));
        memcpy(CMSG_DATA(header), &fd, sizeof(fd));
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
