/*
 * Chapter 5: a worker that is a program of its own. It knows nothing of the server but the
 * channel, on descriptor 0, and the protocol in pool.h.
 */
#include "echo.h"
#include "log.h"
#include "pool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Moves the channel away from descriptor 0: a program that this worker starts would inherit it
 * there, could read its connections, and would keep it open. Returns the channel, close-on-exec, or
 * -1 when there is none.
 */
static int take_channel(void)
{
    int domain, nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    socklen_t length = sizeof(domain);

    if (nothing == -1 || getsockopt(STDIN_FILENO, SOL_SOCKET, SO_DOMAIN, &domain, &length) == -1 ||
        domain != AF_UNIX)
        return -1;
    int channel = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    dup2(nothing, STDIN_FILENO);
    close(nothing);
    return channel;
}

int main(void)
{
    int channel = take_channel();

    if (channel == -1) {
        log_line("descriptor 0 is not a channel: the server starts this program");
        return EXIT_FAILURE;
    }
    /* The master has asked for it; but a program in between may have
     * changed the user, which takes it away, or stay as our parent. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (pool_work(channel, echo) == -1) {
        log_line("cannot receive a connection: %s", strerror(errno));
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
