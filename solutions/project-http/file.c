#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * The kernel resolves the path, and ends with an error where it would lead out of `root`: by "..",
 * by a symbolic link, and also by one that is put there while we look. Whoever checks the path
 * himself, and then opens it, has checked another one: openat2(2), which glibc does not wrap.
 */
static int open_below(int root, const char *path)
{
    const struct open_how how = {
        /* Of a FIFO the open would wait for a writer. */
        .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };

    return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

int root_open(const char *path)
{
    int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int trial = root == -1 ? -1 : open_below(root, ".");

    if (trial == -1) { /* now, and not at each request */
        int error = errno;
        if (root != -1)
            close(root);
        errno = error;
        return -1;
    }
    close(trial);
    return root;
}

static int digit(char c)
{
    const char *digits = "0123456789abcdef", *found = c ? strchr(digits, c | 0x20) : NULL;

    return found ? (int)(found - digits) : -1;
}

/* "%41" becomes "A", in place. False when it is no such text, or has a NUL in it. */
static bool decode(char *text)
{
    char *to = text;

    for (const char *from = text; *from; from++) {
        if (*from != '%') {
            *to++ = *from;
            continue;
        }
        int high = digit(from[1]), low = high == -1 ? -1 : digit(from[2]);
        if (low == -1 || high * 16 + low == 0)
            return false;
        *to++ = (char)(high * 16 + low);
        from += 2;
    }
    *to = '\0';
    return true;
}

/* The path in a target, decoded and without the slashes before it; NULL when there is none. */
static char *path_of(char *target)
{
    const char *scheme = "http://";

    if (strncasecmp(target, scheme, strlen(scheme)) == 0) { /* as a proxy is asked */
        target = strchr(target + strlen(scheme), '/');
        if (!target)
            return NULL;
    }
    if (*target != '/')
        return NULL;
    target[strcspn(target, "?#")] = '\0'; /* before decoding: %3f is a letter of the name */
    if (!decode(target))
        return NULL;
    return target + strspn(target, "/");
}

static const char *type_of(const char *path)
{
    static const struct {
        const char *suffix, *type;
    } types[] = {
        {".html", "text/html; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".txt", "text/plain; charset=utf-8"},
        {".json", "application/json"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".jpg", "image/jpeg"},
    };
    const char *suffix = strrchr(path, '.');

    for (size_t i = 0; suffix && i < sizeof(types) / sizeof(types[0]); i++)
        if (strcasecmp(suffix, types[i].suffix) == 0)
            return types[i].type;
    return "application/octet-stream";
}

int file_open(int root, char *target, struct file *file)
{
    const char *path = path_of(target);
    char index[PATH_MAX];
    struct stat status;

    if (!path)
        return 400;
    size_t length = strlen(path);
    if (length == 0 || path[length - 1] == '/') {
        if ((size_t)snprintf(index, sizeof(index), "%sindex.html", path) >= sizeof(index))
            return 404;
        path = index;
    }
    int descriptor = open_below(root, path);
    if (descriptor == -1)
        switch (errno) {
        case EACCES:
        case EPERM:
            return 403;
        case EMFILE:
        case ENFILE:
        case ENOMEM:
            return 503;
        default: /* EXDEV and ELOOP, too: who asks need not know what lies outside */
            return 404;
        }
    if (fstat(descriptor, &status) == -1 || !S_ISREG(status.st_mode)) {
        close(descriptor);
        return 404;
    }
    *file = (struct file){.descriptor = descriptor, .size = status.st_size, .type = type_of(path)};
    return 200;
}
