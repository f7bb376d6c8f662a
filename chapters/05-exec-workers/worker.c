/*
 * Chapter 5: a worker that is a program of its own. It knows nothing of the server but the
 * channel, on descriptor 0, and the protocol in pool.h.
 */
#include "echo.h"
#include "pool.h"

#include <err.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
    int domain;
    socklen_t length = sizeof(domain);

    if (getsockopt(STDIN_FILENO, SOL_SOCKET, SO_DOMAIN, &domain, &length) == -1 ||
        domain != AF_UNIX)
        errx(EXIT_FAILURE, "descriptor 0 is not a channel: the server starts this program");
    if (pool_work(STDIN_FILENO, echo) == -1)
        err(EXIT_FAILURE, "cannot receive a connection");
    return EXIT_SUCCESS;
}
