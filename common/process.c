#include "process.h"

#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

int signals_open(int signal_number, ...)
{
    sigset_t set;
    va_list rest;

    sigemptyset(&set);
    va_start(rest, signal_number);
    for (int next = signal_number; next != 0; next = va_arg(rest, int)) {
        sigaddset(&set, next);
        /* Whoever started this program may have had it ignored, and that is inherited:
         * an ignored SIGCHLD would reap the children before waitpid sees them. */
        signal(next, SIG_DFL);
    }
    va_end(rest);

    sigprocmask(SIG_BLOCK, &set, NULL); /* cannot fail with SIG_BLOCK */
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

int signals_next(int signals)
{
    struct signalfd_siginfo info;

    if (read(signals, &info, sizeof(info)) != sizeof(info))
        return 0;
    return (int)info.ssi_signo;
}

pid_t fork_child(void)
{
    pid_t parent = getpid();
    pid_t child = fork();

    if (child == 0) {
        sigset_t none;

        /* A handler of the parent's would act on what is the parent's. */
        signal(SIGTERM, SIG_DFL);
        signal(SIGINT, SIG_DFL);
        signal(SIGPIPE, SIG_DFL);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) /* it ended before the line above: nobody will send the signal */
            _exit(1);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
    }
    return child;
}
