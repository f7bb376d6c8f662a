/* HTTP/1.1 on one connection: RFC 9110 (what it means) and RFC 9112 (how it is written). */
#ifndef HTTP_H
#define HTTP_H

#include <stdbool.h>

struct http_config {
    int root;        /* of root_open in file.h; the caller's */
    int patience_ms; /* for a whole request, and for each time that a client takes bytes */
    bool verbose;    /* say each reply, by log_line */
};

/* The bounds of a connection. */
enum {
    REQUESTS_MAX = 100,     /* on one connection: then others may have the worker */
    TARGET_MAX = 2048,      /* bytes of a request's target: 414 */
    HEAD_MAX = 16 * 1024,   /* of its header fields: 431 */
    BODY_MAX = 1024 * 1024, /* of its body: 413 */
    LINGER_MS = 1000,       /* for what a client still sends after our last word */
};

/*
 * Answers the requests that come through a connection, which is blocking, until the client or a
 * bound ends it; then the caller closes it. The caller ignores SIGPIPE.
 *
 * The client decides how long that is: a request that is not there in patience_ms ends it, with 408
 * if it had begun; so does a client that takes no byte of a reply for that long. Returns 0, or -1
 * when the connection broke.
 */
int http_serve(int connection, const struct http_config *config);

#endif
