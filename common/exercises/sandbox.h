/* A place for a program that nobody trusts: what it sees, what it may use, and as whom it runs. */
#ifndef SANDBOX_H
#define SANDBOX_H

#include <stdbool.h>
#include <sys/types.h>

/* How well the kernel lets us separate it, from the best to the least: namespaces(7). */
enum isolation {
    NAMESPACES,         /* its own processes, mounts, IPC and network */
    NAMESPACES_BUT_NET, /* the same, but the machine's network */
    NO_NAMESPACES,      /* only what an ordinary process can do to itself: see sandbox_confine */
    ISOLATIONS
};

enum { SHOWN_MAX = 8 };

struct sandbox {
    enum isolation isolation;
    const char *scratch; /* the only folder that the program can write to; its working directory */
    long scratch_mib;    /* what fits into it */
    long scratch_files;
    const char *shown[SHOWN_MAX + 1]; /* folders that it can read, up to a NULL; besides these
                                       * only the system's programs and libraries */
    long processes;                   /* at a time, threads included */
    long cpu_seconds;                 /* of one process */
    long file_mib;                    /* of one file */
    long descriptors;                 /* of one process */
    uid_t user;                       /* that it runs as, when we are root: see sandbox_user */
};

/*
 * As root: finds a user id that no process and no file has, so that RLIMIT_NPROC (setrlimit(2))
 * counts the program alone and kill(-1) hits nothing else (kill(2)); gives it the scratch folder.
 * As an ordinary user: does nothing, the program runs as the same. Returns -1 with errno.
 */
int sandbox_user(struct sandbox *sandbox);

/*
 * fork(2), into namespaces of its own: see namespaces(7). With namespaces the child is process 1 of
 * a new world, and when it ends, the kernel ends all that live in there.
 * Returns like fork; -1 when the kernel does not allow it.
 */
pid_t sandbox_fork(const struct sandbox *sandbox);

/*
 * In that child: a root of its own (pivot_root(2)), in which there is nothing but the system's
 * programs and what is to be shown, all of it read-only; a /proc, and a scratch folder, which takes
 * memory, not disk, and ends with the child. Returns -1 with errno when the kernel does not allow
 * it (mount_namespaces(7)), and then the child is of no use.
 */
int sandbox_furnish(const struct sandbox *sandbox);

/*
 * In the process that will be the program, before exec: a session of its own, limits
 * (setrlimit(2)), no privilege and none to be gained. Without namespaces also what landlock(7) and
 * seccomp(2) can do: the same files as above and no others, no signal to others, and nothing that
 * stays in memory. Returns -1 with errno.
 */
int sandbox_confine(const struct sandbox *sandbox);

/* In words, what separates the program from the rest of the machine. */
const char *sandbox_told(const struct sandbox *sandbox);

#endif
