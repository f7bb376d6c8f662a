#include "cputime.h"

#include "procstat.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct process {
    pid_t pid, parent;
    int64_t ns;
};

/* Reads one process from /proc. Returns false when it has just gone. */
static bool read_process(pid_t pid, struct process *process)
{
    struct procstat stat;
    char path[64];
    int64_t ns_per_tick = 1000000000 / sysconf(_SC_CLK_TCK), exact;

    if (!procstat_read(pid, &stat))
        return false;
    int64_t own = stat.ticks * ns_per_tick;
    snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)pid);
    FILE *file = fopen(path, "re");
    if (file) {
        if (fscanf(file, "%" SCNd64, &exact) == 1)
            own = exact;
        fclose(file);
    }
    *process = (struct process){pid, stat.parent, own + stat.children_ticks * ns_per_tick};
    return true;
}

/* Reads all processes. Returns how many, in an array that the caller frees, or -1. */
static ssize_t read_all(struct process **processes)
{
    size_t count = 0, room = 0;
    DIR *proc = opendir("/proc");

    *processes = NULL;
    if (!proc)
        return -1;
    for (const struct dirent *entry; (entry = readdir(proc)) != NULL;) {
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        if (count == room) {
            room = room ? 2 * room : 256;
            struct process *grown = reallocarray(*processes, room, sizeof(*grown));
            if (!grown) {
                free(*processes);
                closedir(proc);
                return -1;
            }
            *processes = grown;
        }
        if (read_process(atoi(entry->d_name), &(*processes)[count]))
            count++;
    }
    closedir(proc);
    return (ssize_t)count;
}

static int64_t sum_children(const struct process *processes, ssize_t count, pid_t parent)
{
    int64_t sum = 0;

    for (ssize_t i = 0; i < count; i++)
        if (processes[i].parent == parent)
            sum += processes[i].ns + sum_children(processes, count, processes[i].pid);
    return sum;
}

int cputime_tree(pid_t root, int64_t *ns)
{
    struct process *processes;
    ssize_t count = read_all(&processes);
    int result = -1;

    if (count == -1)
        return -1;
    for (ssize_t i = 0; i < count && result == -1; i++) {
        if (processes[i].pid == root) {
            *ns = processes[i].ns + sum_children(processes, count, root);
            result = 0;
        }
    }
    free(processes);
    if (result == -1)
        errno = ESRCH;
    return result;
}
