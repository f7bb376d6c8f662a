#include "listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int set(int socket, int level, int option, int value)
{
    return setsockopt(socket, level, option, &value, sizeof(value));
}

static int set_on(int socket, int level, int option)
{
    return set(socket, level, option, 1);
}

/* Numeric only: a server listens on an address, and asks no name server for it. */
static struct addrinfo *parse_address(const char *address, int port)
{
    char service[16];
    struct addrinfo *info;
    const struct addrinfo wanted = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV,
    };

    /* What has no colon must be an IPv4 address in full. getaddrinfo(3) would take "*" and "0",
     * and with either the server would listen on every address of the machine. */
    if (!strchr(address, ':') && inet_pton(AF_INET, address, &(struct in_addr){0}) != 1)
        return NULL;
    snprintf(service, sizeof(service), "%d", port);
    return getaddrinfo(address, service, &wanted, &info) == 0 ? info : NULL;
}

bool address_valid(const char *address)
{
    struct addrinfo *info = parse_address(address, 0);

    if (info)
        freeaddrinfo(info);
    return info != NULL;
}

enum kind { EXCLUSIVE, SHARED, RESERVED };

static int open_listener(const char *address, int port, enum kind kind)
{
    struct addrinfo *info = parse_address(address, port);

    if (!info) {
        errno = EINVAL;
        return -1;
    }

    /* Non-blocking: between select and accept the connection may have gone (accept(2), NOTES), and
     * then a blocking accept would hold the whole server until the next one comes. */
    int listener = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    /* SO_REUSEADDR: a server that is restarted need not wait until the connections of the last
     * one have left TIME_WAIT. TCP_NODELAY: an echo must not wait for more to send.
     * SO_KEEPALIVE: a client whose machine has vanished is noticed, some hours later.
     * SO_OOBINLINE: an urgent byte (MSG_OOB) stays among the others, and is echoed like them.
     * SOMAXCONN: clients that find every worker busy wait in the backlog.
     * To reserve a port, SO_REUSEPORT comes after bind, so that bind finds who listens there; and
     * SO_REUSEADDR goes, or others who have it could bind the port, while nobody listens
     * (fact: a-bound-socket-that-does-not-listen-gets-no-connection). */
    if (listener != -1 &&
        (set_on(listener, SOL_SOCKET, SO_REUSEADDR) == -1 ||
         set_on(listener, IPPROTO_TCP, TCP_NODELAY) == -1 ||
         set_on(listener, SOL_SOCKET, SO_KEEPALIVE) == -1 ||
         set_on(listener, SOL_SOCKET, SO_OOBINLINE) == -1 ||
         (kind == SHARED && set_on(listener, SOL_SOCKET, SO_REUSEPORT) == -1) ||
         bind(listener, info->ai_addr, info->ai_addrlen) == -1 ||
         (kind == RESERVED && (set(listener, SOL_SOCKET, SO_REUSEPORT, 1) == -1 ||
                               set(listener, SOL_SOCKET, SO_REUSEADDR, 0) == -1)) ||
         (kind != RESERVED && listen(listener, SOMAXCONN) == -1))) {
        int error = errno;
        close(listener);
        errno = error;
        listener = -1;
    }
    int error = errno;
    freeaddrinfo(info);
    errno = error;
    return listener;
}

int listener_open(const char *address, int port)
{
    return open_listener(address, port, EXCLUSIVE);
}

int listener_open_shared(const char *address, int port)
{
    return open_listener(address, port, SHARED);
}

int port_reserve(const char *address, int port)
{
    return open_listener(address, port, RESERVED);
}

int local_port(int socket)
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof(address);
    char port[sizeof("65535")];

    if (getsockname(socket, (struct sockaddr *)&address, &length) == -1)
        return -1;
    if (getnameinfo((struct sockaddr *)&address, length, NULL, 0, port, sizeof(port),
                    NI_NUMERICSERV) != 0) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    return (int)strtol(port, NULL, 10);
}

char *local_name(int socket, char name[SOCKET_NAME_MAX])
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof(address);
    char host[SOCKET_NAME_MAX - sizeof("[]:65535")];
    char port[sizeof("65535")];

    if (getsockname(socket, (struct sockaddr *)&address, &length) == -1 ||
        getnameinfo((struct sockaddr *)&address, length, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return strcpy(name, "?");

    const char *format = address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s";
    snprintf(name, SOCKET_NAME_MAX, format, host, port);
    return name;
}
