/* Hides descriptors in messages that nobody receives. */
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Descriptors in flight are in no process: each socket holds a message with one that holds a
 * message ... */
int main(void)
{
    int pair[2], held = -1;

    for (int i = 0; i < 100000; i++) {
        char byte = 0;
        union {
            struct cmsghdr header;
            char room[CMSG_SPACE(sizeof(int))];
        } control = {0};
        struct iovec data = {.iov_base = &byte, .iov_len = 1};
        struct msghdr message = {.msg_iov = &data,
                                 .msg_iovlen = 1,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof(control)};

        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1)
            break;
        control.header = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        *(int *)(void *)CMSG_DATA(&control.header) = held == -1 ? pair[0] : held;
        if (sendmsg(pair[0], &message, MSG_DONTWAIT) == -1)
            break;
        close(pair[0]);
        if (held != -1)
            close(held);
        held = pair[1];
    }
    return 0;
}
