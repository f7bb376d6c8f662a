#include "family.h"

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
    pid_t pid, parent;
    char state;
    bool ours;
    long ticks, threads, pages;
};

void family_begin(void)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

/* Reads /proc/PID/stat: proc(5). Returns false when the process has gone. */
static bool process_read(const char *pid, struct process *process)
{
    char path[32], text[1024];
    long user, system, children_user, children_system;

    snprintf(path, sizeof(path), "/proc/%.16s/stat", pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file == -1)
        return false;
    ssize_t length = read(file, text, sizeof(text) - 1);
    close(file);
    if (length <= 0)
        return false;
    text[length] = '\0';
    const char *rest = strrchr(text, ')'); /* the name before may contain anything */
    *process = (struct process){.pid = (pid_t)strtol(pid, NULL, 10)};
    return rest &&
           sscanf(rest, /* NOLINT(cert-err34-c): the kernel wrote it */
                  ") %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld %ld %ld %*d %*d %ld "
                  "%*d %*u %*u %ld",
                  &process->state, &process->parent, &user, &system, &children_user,
                  &children_system, &process->threads, &process->pages) == 8 &&
           (process->ticks = user + system + children_user + children_system) >= 0;
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
            const struct process *parent, wanted = {.pid = all[i].parent};
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
    long ticks = 0, pages = 0;

    for (size_t i = 0; i < count; i++) {
        if (all[i].pid == getpid())
            ticks += all[i].ticks; /* children that it has reaped */
        if (!all[i].ours)
            continue;
        family.processes += all[i].threads > 0 ? all[i].threads : 1; /* a zombie has no thread */
        ticks += all[i].ticks;
        pages += all[i].pages;
    }
    free(all);
    family.cpu_seconds = ticks / sysconf(_SC_CLK_TCK);
    family.memory_mib = pages / (1024 * 1024 / sysconf(_SC_PAGESIZE));
    return family;
}

/* Sends a signal to each descendant that lives; returns how many there were. */
static size_t signal_all(int signal_number)
{
    size_t count, living = 0;
    struct process *all = read_all(&count);

    for (size_t i = 0; i < count; i++) {
        if (all[i].ours && all[i].state != 'Z' && all[i].state != 'X') {
            kill(all[i].pid, signal_number);
            living++;
        }
    }
    free(all);
    return living;
}

/* kill(-1) reaches all processes of a user in one go, and no fork gets past it. */
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
