/* The files that a server shows, and none besides. */
#ifndef FILE_H
#define FILE_H

#include <stddef.h>
#include <sys/types.h>

struct file {
    int descriptor; /* readable, close-on-exec; the caller's */
    off_t size;
    const char *type; /* a media type, RFC 9110, 8.3.1 */
};

/*
 * Opens the folder below which all files must lie. Returns a descriptor, the caller's,
 * close-on-exec, or -1 with errno: ENOSYS where the kernel has no openat2(2), which is what keeps
 * clients below it.
 */
int root_open(const char *path);

/*
 * Opens what the target of a request (RFC 9112, 3.2: "/a%20b?c", or with "http://host" before it)
 * names below `root`; of a folder, given with its slash, index.html. `target` is changed.
 *
 * Returns 200, and *file is the caller's to close; or the status for the client, with nothing open:
 * 400 when the target is none, 404 when there is no such file, 403 when it may not be read, 503
 * when this process can open no more.
 */
int file_open(int root, char *target, struct file *file);

#endif
