/*
 * read_fd: receives bytes from a channel, and the descriptor that came with them.
 *
 * Its contract is in chapters/03-descriptor-passing/fdpass.h. The program `take` calls it, first
 * by hand to see it work, then by the test.
 */
#include "fdpass.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for one control message with one descriptor, aligned as a cmsghdr must be. */
union control {
    struct cmsghdr align;
    char space[CMSG_SPACE(sizeof(int))];
};

/*
 * Takes the one descriptor out of the control messages of `message`, or -1 when there is none.
 * Returns false, with every descriptor closed, when they hold anything else.
 */
static bool take_descriptor(struct msghdr *message, int *fd)
{
    bool as_asked = true;

    *fd = -1;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
         header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
            as_asked = false;
            continue; /* what it holds is no descriptor */
        }
        /* Padding makes room for a second descriptor on 64-bit machines, and Linux uses it. */
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
        received = recvmsg(channel, &message, 0);
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
