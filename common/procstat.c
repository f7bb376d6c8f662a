#define _GNU_SOURCE 1 /* O_CLOEXEC */

#include "procstat.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool procstat_read(pid_t pid, struct procstat *stat)
{
    char path[32], text[1024];
    int64_t user, system, children_user, children_system;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file == -1)
        return false;
    ssize_t length = read(file, text, sizeof(text) - 1);
    close(file);
    if (length <= 0)
        return false;
    text[length] = '\0';
    /* The second field is the name in parentheses, and may hold any character: start behind it. */
    const char *behind_name = strrchr(text, ')');
    if (!behind_name || sscanf(behind_name, /* NOLINT(cert-err34-c): the kernel wrote it */
                               ") %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNd64 " %" SCNd64
                               " %" SCNd64 " %" SCNd64 " %*d %*d %ld %*d %*u %*u %ld",
                               &stat->state, &stat->parent, &user, &system, &children_user,
                               &children_system, &stat->threads, &stat->pages) != 8)
        return false;
    stat->ticks = user + system;
    stat->children_ticks = children_user + children_system;
    return true;
}
