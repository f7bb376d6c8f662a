/* The worker of the next version, which answers in capitals. Its channel is descriptor 0. */
#include "pool.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int shout(int connection)
{
    char buffer[4096];
    ssize_t received;

    while ((received = recv(connection, buffer, sizeof(buffer), 0)) > 0) {
        for (ssize_t i = 0; i < received; i++)
            buffer[i] = (char)toupper((unsigned char)buffer[i]);
        for (ssize_t sent = 0, n; sent < received; sent += n) {
            n = send(connection, buffer + sent, (size_t)(received - sent), MSG_NOSIGNAL);
            if (n == -1)
                return -1;
        }
    }
    return received == 0 ? 0 : -1;
}

int main(void)
{
    return pool_work(STDIN_FILENO, shout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
