/*
 * read_fd: receives bytes from a channel, and the descriptor that came with them.
 *
 * Its contract is in chapters/03-descriptor-passing/fdpass.h. The program `take` calls it, first
 * by hand to see it work, then by the test.
 */
#include "fdpass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for one control message with one descriptor, aligned as a cmsghdr must be. */
union control {
    struct cmsghdr align;
    char space[CMSG_SPACE(sizeof(int))];
};

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

    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
        memcpy(fd, CMSG_DATA(header), sizeof(*fd));
    return received;
}
