/*
 * Lines for whoever reads a log, said without ever waiting for him.
 *
 * A write to a pipe that nobody reads, to a stopped terminal or to a full socket waits, and with it
 * all that the process is there for. Here such a line is lost instead: pipe(7), termios(3) on
 * Ctrl-S. A reader that has gone is no SIGPIPE.
 */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Says "PROGRAM: ..." and a newline on stderr, as warnx(3) does, in one write; or loses the line.
 */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same with a colon and what errno says; then ends the program with status 1, as err(3) does.
 */
void log_failure(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/*
 * Writes `length` bytes to `fd`, all in one, and does not wait. Whether `fd` waits for others stays
 * as it is: O_NONBLOCK belongs to the open file description, which the shell may share.
 * Returns 0, or -1 with errno: EAGAIN when it would have had to wait, EPIPE when nobody reads it
 * any more, EIO when there was room for a part only, others as write(2) says.
 */
int write_now(int fd, const char *bytes, size_t length);

/*
 * True when a series begins: when this was not asked, with the same `last`, for ten seconds. For
 * what may happen ten times a second, and is to be said once. `*last` begins as 0.
 */
bool series_begins(int64_t *last);

#ifdef __cplusplus
}
#endif

#endif
