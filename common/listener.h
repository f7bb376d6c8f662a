/* Listening for TCP connections, and its name. */
#ifndef LISTENER_H
#define LISTENER_H

#include <stdbool.h>

/* True when `address` is a numeric IPv4 or IPv6 address, as listener_open wants it. */
bool address_valid(const char *address);

/*
 * Opens a TCP socket that listens on `address` (numeric, IPv4 or IPv6) and `port` (0 to 65535;
 * 0 lets the kernel take a free one: see local_name).
 *
 * Returns the listener, which is the caller's to close, or -1 with errno and nothing left open:
 * EINVAL when `address` is no IP address, else what socket(2), bind(2) or listen(2) said.
 *
 * The listener is non-blocking and close-on-exec. Connections accepted from it inherit
 * TCP_NODELAY, SO_KEEPALIVE and SO_OOBINLINE; they are blocking, since on Linux accept4(2) does not
 * inherit O_NONBLOCK.
 */
int listener_open(const char *address, int port);

/*
 * The same with SO_REUSEPORT: further listeners of the same user can be opened so on the same
 * address and port: SO_REUSEPORT in socket(7). The kernel gives each connection to one of them, by
 * a hash of its addresses and ports: reuseport_select_sock() in Linux's net/core/sock_reuseport.c.
 */
int listener_open_shared(const char *address, int port);

/*
 * Keeps a port for listeners that listener_open_shared opens on it later: a socket that is bound,
 * and does not listen. It receives nothing; while it is open no other user gets the port, nor
 * anybody who takes any that is free. Fails as listener_open does, with EADDRINUSE too when
 * somebody listens there already, of the same user even.
 */
int port_reserve(const char *address, int port);

/* The port of a TCP socket; 0 when it is not bound, -1 with errno when getsockname(2) fails. */
int local_port(int socket);

/* Room for any name that local_name writes, "[2001:db8::1%interface]:65535" for example. */
enum { SOCKET_NAME_MAX = 80 };

/* Writes the address and port of a socket as "127.0.0.1:8083" or "[::1]:8083"; returns `name`. */
char *local_name(int socket, char name[SOCKET_NAME_MAX]);

#endif
