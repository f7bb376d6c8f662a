#include "echo.h"

#include <errno.h>
#include <sys/socket.h>

/* send(2) may take less than it is given: go on until all of it is gone. */
static int send_all(int connection, const char *data, size_t len)
{
    while (len > 0) {
        /* MSG_NOSIGNAL: a client that has gone is an error to return, not a reason to die. */
        ssize_t sent = send(connection, data, len, MSG_NOSIGNAL);
        if (sent >= 0) {
            data += sent;
            len -= (size_t)sent;
        } else if (errno != EINTR) {
            return -1;
        }
    }
    return 0;
}

int echo(int connection)
{
    char buffer[64 * 1024];

    for (;;) {
        ssize_t received = recv(connection, buffer, sizeof(buffer), 0);
        if (received == 0)
            return 0;
        if (received > 0) {
            /* The count says where the data ends; a NUL is a byte like any other. */
            if (send_all(connection, buffer, (size_t)received) == -1)
                return -1;
        } else if (errno != EINTR) {
            return -1;
        }
    }
}
