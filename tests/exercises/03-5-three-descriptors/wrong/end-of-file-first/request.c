/* Requests: see request.h. */
#include "request.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for one control message with three descriptors, aligned as a cmsghdr must be. */
union control {
    struct cmsghdr align;
    char space[CMSG_SPACE(3 * sizeof(int))];
};

int send_request(int channel, const char *command, const int fds[3])
{
    union control control = {0};
    struct iovec iov = {.iov_base = (void *)command, .iov_len = strlen(command)};
    struct msghdr message = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = control.space,
        .msg_controllen = sizeof(control.space),
    };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    ssize_t sent;

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(3 * sizeof(int));
    memcpy(CMSG_DATA(header), fds, 3 * sizeof(int));
    do /* a packet leaves as a whole, or not at all */
        sent = sendmsg(channel, &message, MSG_NOSIGNAL);
    while (sent == -1 && errno == EINTR);
    return sent == -1 ? -1 : 0;
}

/* Takes up to three descriptors out of the message, and closes what came beyond. Returns how many
 * came. */
static size_t take_descriptors(struct msghdr *message, int fds[3])
{
    size_t came = 0;

    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
         header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++, came++) {
            int received;
            memcpy(&received, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
            if (came < 3)
                fds[came] = received;
            else
                close(received);
        }
    }
    return came;
}

int receive_request(int channel, char command[COMMAND_MAX], int fds[3])
{
    union control control = {0};
    struct iovec iov = {.iov_base = command, .iov_len = COMMAND_MAX - 1};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t length;

    do {
        message.msg_control = control.space;
        message.msg_controllen = sizeof(control.space);
        length = recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
    } while (length == -1 && errno == EINTR);
    if (length <= 0)
        return (int)length;

    size_t came = take_descriptors(&message, fds);
    if (came == 3 && !(message.msg_flags & (MSG_CTRUNC | MSG_TRUNC))) {
        command[length] = '\0';
        return 1;
    }
    for (size_t i = 0; i < came && i < 3; i++)
        close(fds[i]);
    errno = came < 3 && message.msg_flags & MSG_CTRUNC ? EMFILE : EPROTO;
    return -1;
}
