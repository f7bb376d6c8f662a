/*
 * Pass open descriptors from one process to another.
 *
 * A descriptor travels as a control message (SCM_RIGHTS) of a Unix-domain socket, beside at least
 * one byte of ordinary data. The receiver gets a descriptor of its own, mostly with another
 * number, that names the same open file description: offset, status flags and socket are shared.
 * See unix(7), cmsg(3), recvmsg(2), and RFC 3542 section 20 for the CMSG_ macros.
 *
 * Both functions go on when a signal interrupts them (EINTR), and never raise SIGPIPE.
 */
#ifndef FDPASS_H
#define FDPASS_H

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Sends `len` bytes (1 or more) and the descriptor `fd` over `channel`, in one message.
 * With `fd` -1 it sends the bytes alone.
 *
 * The descriptor is duplicated into the message: the caller keeps `fd`, and may close it as soon
 * as this returns; the file stays open while the message is on its way.
 *
 * Returns 0 when all is sent. Returns -1 with errno otherwise; the descriptor and some of the bytes
 * may then have gone (with `len` 1 nothing has):
 *   EINVAL        `len` is 0: a stream socket carries no descriptor without data
 *   EBADF         `fd` is not open
 *   EPIPE, ECONNRESET   the other end is closed
 *   ETOOMANYREFS  too many descriptors of this user are on their way
 *   others        as sendmsg(2) says
 */
int write_fd(int channel, const void *data, size_t len, int fd);

/*
 * Receives up to `len` bytes (1 or more) and at most one descriptor from `channel`.
 *
 * Returns the number of bytes; 0 at end-of-file; -1 with errno on error.
 * `*fd` is the descriptor that came, close-on-exec and the caller's to close, or -1 when none
 * came, which includes end-of-file and every error: then nothing is left open.
 *   EINVAL    `len` is 0
 *   EMFILE    a descriptor was sent, but this process is at its limit (RLIMIT_NOFILE) and the
 *             kernel has dropped it (or a security module has); the bytes are lost too
 *   EPROTO    something came that nobody asked for: a second descriptor, or another control
 *             message. All of it has been closed or dropped
 *   EMSGSIZE  the datagram was longer than `len` (SOCK_DGRAM, SOCK_SEQPACKET)
 *   others    as recvmsg(2) says
 *
 * On a stream socket one call never returns bytes from beyond the next descriptor, but the
 * bytes of one write_fd may come in several calls; the descriptor comes with the first.
 *
 * On SOCK_DGRAM and SOCK_SEQPACKET an empty datagram looks like end-of-file (write_fd sends none).
 * With SO_PASSCRED or SO_PASSPIDFD set on `channel` every message brings what nobody asked for:
 * EPROTO at each call; with SO_PASSCRED on a stream at end-of-file, too (fact:
 * control-message-at-end-of-file). Treat EPROTO as the end of the channel.
 */
ssize_t read_fd(int channel, void *data, size_t len, int *fd);

#ifdef __cplusplus
}
#endif

#endif
