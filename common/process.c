#define _GNU_SOURCE 1 /* SCHED_BATCH */

#include "process.h"

#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { REAP_MS = 1000 }; /* how long who was sent SIGKILL is waited for */

int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int signals_open(int signal_number, ...)
{
    sigset_t set;
    va_list rest;

    sigemptyset(&set);
    va_start(rest, signal_number);
    for (int next = signal_number; next != 0; next = va_arg(rest, int)) {
        sigaddset(&set, next);
        /* Whoever started this program may have had it ignored, and that is inherited:
         * an ignored SIGCHLD would reap the children before waitpid sees them
         * (fact: ignored-children-leave-no-zombies). */
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

const char *children_impossible(void)
{
    static const char path[] = "/proc/self/ns/pid_for_children";
    char own[64] = "";
    struct stat link;

    /* Until its first child is born a new namespace has this name, and no value
     * (fact: a-namespace-without-init). */
    if (readlink("/proc/self/ns/pid", own, sizeof(own) - 1) != -1 && lstat(path, &link) == 0) {
        char of_children[64] = "";
        if (readlink(path, of_children, sizeof(of_children) - 1) == -1 ||
            strcmp(own, of_children) != 0)
            return "children would be in another PID namespace (unshare -p without -f?)";
    }
    return NULL;
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
        if (getppid() != parent) /* it ended before the line above: nobody else will send it */
            raise(SIGKILL);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
    }
    return child;
}

/* Reaps those of the children that have ended. Returns true when nobody is left. */
static bool reap(pid_t children[], int count)
{
    bool all = true;

    for (int i = 0; i < count; i++) {
        if (children[i] != 0 && waitpid(children[i], NULL, WNOHANG) != 0)
            children[i] = 0; /* dead; or not a child, and not to be waited for */
        all = all && children[i] == 0;
    }
    return all;
}

/* Waits until all children have been reaped, or `ms` have passed. Returns true when nobody is left.
 */
static bool wait_for_end(pid_t children[], int count, int ms)
{
    int64_t deadline = now_ms() + ms;
    sigset_t death;

    sigemptyset(&death);
    sigaddset(&death, SIGCHLD);
    while (!reap(children, count)) {
        int64_t left = deadline - now_ms();
        if (left <= 0)
            return false;
        /* A death since reap looked is pending, and ends this at once. */
        sigtimedwait(&death, NULL,
                     &(struct timespec){.tv_sec = (time_t)(left / 1000),
                                        .tv_nsec = (long)(left % 1000) * 1000000});
    }
    return true;
}

void children_end(pid_t children[], int count, int grace_ms)
{
    if (wait_for_end(children, count, grace_ms))
        return;
    for (int i = 0; i < count; i++)
        if (children[i] != 0)
            kill(children[i], SIGKILL);
    wait_for_end(children, count, REAP_MS);
}

/* By their numbers, since musl leaves these two calls out: POSIX's differ (src/sched in musl,
 * sched_setscheduler.c). */
static long policy_of_this_process(void)
{
    return syscall(SYS_sched_getscheduler, 0);
}

static void set_policy(int policy)
{
    syscall(SYS_sched_setscheduler, 0, policy, &(struct sched_param){0});
}

bool wait_for_the_cpu(void)
{
    if (policy_of_this_process() != SCHED_OTHER)
        return false;
    set_policy(SCHED_BATCH);
    return true;
}

void push_for_the_cpu(void)
{
    set_policy(SCHED_OTHER);
}
