/* The echo service (RFC 862) that every server of the course offers. */
#ifndef ECHO_H
#define ECHO_H

/*
 * Sends back every byte that arrives on `connection`, in order, until the peer's end-of-file.
 * A peer that only half-closes still gets the rest.
 *
 * `connection` is a connected, blocking stream socket. An urgent byte is one of them if
 * SO_OOBINLINE is set on it (fact: urgent-bytes-in-line), as listener_open does. It stays the
 * caller's, who closes it. Returns 0 at end-of-file; -1 with errno when the connection broke
 * (ECONNRESET, EPIPE, ...). Never raises SIGPIPE. Memory is bounded: a peer that sends for ever and
 * reads nothing is held up by TCP's flow control (RFC 9293, section 3.8.6), not buffered.
 */
int echo(int connection);

#endif
