#include "family.h"

#include "procstat.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct process {
    pid_t pid;
    bool ours;
    struct procstat stat;
};

void family_begin(void)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

static bool process_read(const char *pid, struct process *process)
{
    *process = (struct process){.pid = (pid_t)strtol(pid, NULL, 10)};
    return procstat_read(process->pid, &process->stat);
}

static int by_pid(const void *left, const void *right)
{
    pid_t a = ((const struct process *)left)->pid, b = ((const struct process *)right)->pid;

    return (a > b) - (a < b);
}

/* Marks those that descend from this process: children first, then children of those marked. */
static void mark_ours(struct process *all, size_t count)
{
    qsort(all, count, sizeof(*all), by_pid);
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < count; i++) {
            const struct process *parent, wanted = {.pid = all[i].stat.parent};
            if (all[i].ours)
                continue;
            parent = bsearch(&wanted, all, count, sizeof(*all), by_pid);
            if (wanted.pid == getpid() || (parent && parent->ours))
                all[i].ours = more = true;
        }
    }
}

/* All processes there are; the caller frees them. */
static struct process *read_all(size_t *count)
{
    struct process *all = NULL;
    size_t room = 0;
    const struct dirent *entry;
    DIR *proc = opendir("/proc");

    *count = 0;
    while (proc && (entry = readdir(proc)) != NULL) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
            continue;
        if (*count == room) {
            struct process *larger = reallocarray(all, room + 256, sizeof(*all));
            if (!larger)
                break;
            all = larger;
            room += 256;
        }
        *count += process_read(entry->d_name, &all[*count]);
    }
    if (proc)
        closedir(proc);
    if (all)
        mark_ours(all, *count);
    return all;
}

struct family family_survey(void)
{
    size_t count;
    struct process *all = read_all(&count);
    struct family family = {0};
    int64_t ticks = 0;
    long pages = 0;

    for (size_t i = 0; i < count; i++) {
        if (all[i].pid == getpid())
            ticks += all[i].stat.ticks + all[i].stat.children_ticks; /* it has reaped some */
        if (!all[i].ours)
            continue;
        family.processes +=
            all[i].stat.threads > 0 ? all[i].stat.threads : 1; /* a zombie has no thread */
        ticks += all[i].stat.ticks + all[i].stat.children_ticks;
        pages += all[i].stat.pages;
    }
    free(all);
    family.cpu_seconds = (long)(ticks / sysconf(_SC_CLK_TCK));
    family.memory_mib = pages / (1024 * 1024 / sysconf(_SC_PAGESIZE));
    return family;
}

/* Sends a signal to each descendant that lives; returns how many there were. */
static size_t signal_all(int signal_number)
{
    size_t count, living = 0;
    struct process *all = read_all(&count);

    for (size_t i = 0; i < count; i++) {
        if (all[i].ours && all[i].stat.state != 'Z' && all[i].stat.state != 'X') {
            kill(all[i].pid, signal_number);
            living++;
        }
    }
    free(all);
    return living;
}

/* kill(-1) reaches all processes of a user in one go, and no fork gets past it: kill(2). */
static void kill_user(uid_t user)
{
    pid_t child = fork();

    if (child == 0) {
        if (setresuid(user, user, user) == 0)
            kill(-1, SIGKILL);
        _exit(EXIT_SUCCESS);
    }
    while (child > 0 && waitpid(child, NULL, 0) == -1 && errno == EINTR)
        ;
}

void family_end(uid_t user)
{
    /* Whoever has no child has no descendant either: orphans would be its children. */
    while (waitpid(-1, NULL, WNOHANG) != -1) {
        if (getpid() == 1) {
            kill(-1, SIGKILL); /* all in our namespace */
        } else if (user != 0) {
            kill_user(user);
        } else {
            /* One by one. Stop first, and again until no more have come: what is stopped does not
             * fork, and keeps its place under the limit from those that would. */
            size_t before = 0, stopped;
            while ((stopped = signal_all(SIGSTOP)) > before)
                before = stopped;
            signal_all(SIGKILL);
        }
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}
