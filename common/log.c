#define _GNU_SOURCE 1 /* program_invocation_short_name */

#include "log.h"

#include "process.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE_MAX_BYTES = 1024, /* less than PIPE_BUF: whole, or not at all, says pipe(7) */
    TERMINAL_BYTES = 100,  /* less than the pieces of 256 in which a terminal takes memory */
    SERIES_MS = 10000,
};

/*
 * For the time of a write the signals that it may bring are blocked, and one that was the write's
 * is taken away again: SIGPIPE, when nobody reads; SIGXFSZ, when a file may grow no more
 * (RLIMIT_FSIZE). SIGTTOU, which stops who writes to a terminal from the background (stty tostop),
 * is not even sent while it is blocked.
 */
static ssize_t write_without_signals(int fd, const char *bytes, size_t length)
{
    sigset_t by_write, pending, before;

    sigemptyset(&by_write);
    sigaddset(&by_write, SIGPIPE);
    sigaddset(&by_write, SIGXFSZ);
    sigaddset(&by_write, SIGTTOU);
    sigpending(&pending);
    sigprocmask(SIG_BLOCK, &by_write, &before);
    ssize_t written = write(fd, bytes, length);
    int error = errno;
    int sent = written != -1 ? 0 : error == EPIPE ? SIGPIPE : error == EFBIG ? SIGXFSZ : 0;
    if (sent != 0 && !sigismember(&pending, sent)) {
        sigemptyset(&by_write);
        sigaddset(&by_write, sent);
        sigtimedwait(&by_write, NULL, &(struct timespec){0});
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return written;
}

/*
 * How many of these bytes can be written without waiting where poll sees room. A pipe takes
 * PIPE_BUF (pipe(7)). A terminal that has room has a piece of memory (drivers/tty/tty_buffer.c),
 * for plain bytes; the end of a line, which it sends as two bytes, and other signs of control it
 * looks at one by one (drivers/tty/n_tty.c), and waits if the piece was its last one. So these go
 * alone.
 */
static size_t part_for_room(const char *bytes, size_t length, bool terminal)
{
    size_t most = terminal ? TERMINAL_BYTES : PIPE_BUF, part = 1;

    if (terminal && iscntrl((unsigned char)bytes[0]))
        return part;
    while (part < length && part < most && !(terminal && iscntrl((unsigned char)bytes[part])))
        part++;
    return part;
}

/* If no other writer is quicker, which cannot be excluded here. */
static ssize_t write_where_poll_sees_room(int fd, const char *bytes, size_t length, bool terminal)
{
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    size_t done = 0;

    while (done < length) {
        if (poll(&room, 1, 0) != 1) {
            errno = EAGAIN;
            break;
        }
        ssize_t written = write_without_signals(
            fd, bytes + done, part_for_room(bytes + done, length - done, terminal));
        if (written <= 0)
            break;
        done += (size_t)written;
    }
    return done > 0 ? (ssize_t)done : -1;
}

/*
 * A pipe or a terminal is opened once more, by its name in /proc: that is a description of our own,
 * which alone becomes non-blocking. Where that is not allowed (another user's terminal), or no
 * descriptor is left, poll has to do.
 */
static ssize_t write_to_pipe(int fd, const char *bytes, size_t length, bool terminal)
{
    char path[32];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (own == -1)
        return write_where_poll_sees_room(fd, bytes, length, terminal);
    ssize_t written = write_without_signals(own, bytes, length);
    int error = errno;
    close(own);
    errno = error;
    return written;
}

int write_now(int fd, const char *bytes, size_t length)
{
    struct stat status;
    ssize_t written;

    if (fstat(fd, &status) == -1)
        return -1;
    do {
        if (S_ISSOCK(status.st_mode))
            written = send(fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        else if (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode))
            written = write_to_pipe(fd, bytes, length, S_ISCHR(status.st_mode));
        else /* a file is written in bounded time, and its offset may be shared: not opened anew */
            written = write_without_signals(fd, bytes, length);
    } while (written == -1 && errno == EINTR);
    if (written >= 0 && (size_t)written < length)
        errno = EIO;
    return written == (ssize_t)length ? 0 : -1;
}

static void say(const char *format, va_list arguments, const char *reason)
{
    char line[LINE_MAX_BYTES];
    int error = errno; /* what is logged is often an error that the caller still looks at */

    int head = snprintf(line, sizeof(line) / 4, "%s: ", program_invocation_short_name);
    size_t length = (size_t)head < sizeof(line) / 4 ? (size_t)head : sizeof(line) / 4 - 1;
    int body = vsnprintf(line + length, sizeof(line) - 1 - length, format, arguments);
    if (body > 0)
        length += (size_t)body;
    if (reason && length < sizeof(line) - 1) {
        int tail = snprintf(line + length, sizeof(line) - 1 - length, ": %s", reason);
        length += (size_t)tail;
    }
    if (length > sizeof(line) - 2)
        length = sizeof(line) - 2;
    line[length++] = '\n';
    write_now(STDERR_FILENO, line, length);
    errno = error;
}

void log_line(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    say(format, arguments, NULL);
    va_end(arguments);
}

void log_failure(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    say(format, arguments, strerror(errno));
    va_end(arguments);
    exit(EXIT_FAILURE);
}

bool series_begins(int64_t *last)
{
    int64_t now = now_ms();
    bool begins = *last == 0 || now >= *last + SERIES_MS;

    *last = now;
    return begins;
}
