/*
 * Chapter 7: a worker that is a program of its own. Descriptor 0 is the queue, and queue.h has the
 * protocol. Chapter 5's workers do here as well; this one reports no more than it has to.
 */
#include "echo.h"
#include "log.h"
#include "queue.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(void)
{
    /* Away from descriptor 0, which every program inherits that this one may start. */
    int queue = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    close(STDIN_FILENO);
    open("/dev/null", O_RDONLY);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* asked for again, as in chapter 5 */

    if (queue_work(queue, echo) == 0)
        return EXIT_SUCCESS;
    log_line(errno == ENOTSOCK || errno == EBADF
                 ? "descriptor 0 is not a queue: the server starts this program"
                 : "cannot take a connection: %s",
             strerror(errno));
    return EXIT_FAILURE;
}
