/*
 * What a hand-over costs at least: processes that share one table of descriptors (CLONE_FILES in
 * clone(2)), so that nothing has to be passed. The first one accepts, and writes the number of a
 * connection into a pipe, of which each worker reads one.
 *
 * It is here to be measured, and is no server: what a worker that was killed had open stays open,
 * since the table lives on in the others; and a worker that becomes another program has a copy.
 */
#include "cmdline.h"
#include "echo.h"
#include "listener.h"
#include "log.h"
#include "output.h"
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int numbers[2];
static pid_t workers[WORKERS_MAX];
static int started;

static _Noreturn void work(void)
{
    int connection;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (read(numbers[0], &connection, sizeof(connection)) == sizeof(connection)) {
        echo(connection);
        close(connection); /* for all */
    }
    _exit(EXIT_FAILURE);
}

/* SIGTERM: the workers first, so that what they have used is known (wait4(2)). */
static void end(int signal_number)
{
    (void)signal_number;
    for (int i = 0; i < started; i++) {
        kill(workers[i], SIGKILL);
        waitpid(workers[i], NULL, 0);
    }
    _exit(EXIT_SUCCESS);
}

int main(int argc, char **argv)
{
    output_begin();
    struct cmdline cmdline = cmdline_parse(argc, argv, false);
    int listener = listener_open(cmdline.address, cmdline.port);
    if (listener == -1)
        log_failure("cannot listen on %s port %d", cmdline.address, cmdline.port);
    if (pipe2(numbers, O_CLOEXEC) == -1)
        log_failure("pipe");
    fcntl(listener, F_SETFL, 0); /* it blocks */
    wait_for_the_cpu();
    for (int i = 0; i < cmdline.workers; i++) {
        long pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
        if (pid == -1)
            log_failure("clone");
        if (pid == 0)
            work();
        workers[started++] = (pid_t)pid;
    }
    signal(SIGTERM, end);
    cmdline_announce(&cmdline, listener);

    for (;;) {
        int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (connection != -1 &&
            write(numbers[1], &connection, sizeof(connection)) != sizeof(connection))
            log_failure("pipe");
        if (connection == -1 && errno != EINTR && errno != ECONNABORTED)
            log_failure("accept");
    }
}
