/*
 * A request to run a command, with the standard input, output and error that it is to have.
 *
 * It is one message over a Unix-domain socket of type SOCK_SEQPACKET, which keeps messages apart:
 * the bytes are the command, without a NUL; with them come three descriptors, in this order.
 */
#ifndef REQUEST_H
#define REQUEST_H

enum { COMMAND_MAX = 4096 }; /* with the NUL that receive_request puts at the end */

/*
 * Sends `command`, which is not empty, and the three descriptors. The caller keeps them.
 * Returns 0, or -1 with errno, as sendmsg(2) says. Never raises SIGPIPE.
 */
int send_request(int channel, const char *command, const int fds[3]);

/*
 * Receives a request. Returns 1, and then `command` ends with a NUL, and the three descriptors are
 * close-on-exec and the caller's to close. Returns 0 at end-of-file; -1 with errno on error. Then
 * nothing is left open.
 *   EMFILE  this process is at its limit, and the kernel has dropped descriptors
 *   EPROTO  what came has not exactly three descriptors, or does not fit into `command`
 *   others  as recvmsg(2) says
 */
int receive_request(int channel, char command[COMMAND_MAX], int fds[3]);

#endif
