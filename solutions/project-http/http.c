/*
 * Bytes come in (http_serve), llhttp finds the requests among them, and calls back with the parts
 * of each: on_begin, on_target, on_field, on_value, on_head, on_body, on_end. Several requests may
 * be in what one recv(2) brings. on_end answers, so they are answered one after the other, in their
 * order. A callback that returns HPE_USER ends the parsing, and the connection.
 */
#include "http.h"

#include "file.h"
#include "log.h"
#include "process.h"

#include <errno.h>
#include <llhttp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct conversation {
    const struct http_config *config;
    int connection;
    int64_t deadline; /* of the request that is awaited: now_ms() */
    int answered;     /* requests so far */
    bool over;        /* we end it: the last reply has said so */
    bool broken;      /* the connection takes no more */

    llhttp_t parser;

    /* The request that is under way; on_begin clears all of this. */
    struct request {
        bool begun;
        char target[TARGET_MAX + 1];
        char field[sizeof("transfer-encoding")]; /* as much of a field's name as we have to know */
        char value[sizeof("100-continue")];      /* and of its value */
        size_t target_bytes, field_bytes, value_bytes, head_bytes, body_bytes;
        int hosts;    /* how many Host fields it has */
        bool expects; /* "Expect: 100-continue" */
        int status;   /* of refuse(): what is wrong with it */
    } request;
};

/* ---- replies ---- */

static const char *phrase(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 431:
        return "Request Header Fields Too Large";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Service Unavailable";
    }
}

/* Sends all of it, or notes that the connection is broken: by SO_SNDTIMEO, too. */
static void say(struct conversation *talk, const char *bytes, size_t length, int flags)
{
    while (length > 0 && !talk->broken) {
        ssize_t sent = send(talk->connection, bytes, length, MSG_NOSIGNAL | flags);
        if (sent >= 0) {
            bytes += sent;
            length -= (size_t)sent;
        } else if (errno != EINTR) {
            talk->broken = true;
        }
    }
}

/* The head of a reply. `more`: a body follows at once, and may travel in the same segment. */
static void say_head(struct conversation *talk, int status, const char *type, off_t size, bool more)
{
    char head[512], date[64];
    time_t now = time(NULL);
    struct tm utc;

    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &utc));
    int length =
        snprintf(head, sizeof(head),
                 "HTTP/1.1 %d %s\r\n"
                 "Date: %s\r\n"
                 "Content-Type: %s\r\n"
                 "Content-Length: %lld\r\n"
                 "%s"
                 "Connection: %s\r\n\r\n",
                 status, phrase(status), date, type, (long long)size,
                 status == 405 ? "Allow: GET, HEAD\r\n" : "", talk->over ? "close" : "keep-alive");
    say(talk, head, (size_t)length, more ? MSG_MORE : 0);
    if (talk->config->verbose)
        log_line("worker %d answers %d: %s", (int)getpid(), status, talk->request.target);
}

/* A reply that is no file: a line of text. `why` may be NULL. A HEAD has no body, whatever it
 * asks for. */
static void say_status(struct conversation *talk, int status, const char *why)
{
    char line[256];
    int length = snprintf(line, sizeof(line), "%d %s%s%s\n", status, phrase(status),
                          why ? ": " : "", why ? why : "");
    bool head = talk->request.begun && talk->parser.method == HTTP_HEAD;

    say_head(talk, status, "text/plain", length, !head);
    if (!head)
        say(talk, line, (size_t)length, 0);
}

static void say_file(struct conversation *talk, const struct file *file)
{
    bool head = talk->parser.method == HTTP_HEAD;
    off_t at = 0;

    say_head(talk, 200, file->type, file->size, !head && file->size > 0);
    while (!head && at < file->size && !talk->broken) {
        ssize_t sent = sendfile(talk->connection, file->descriptor, &at, (size_t)(file->size - at));
        if (sent == -1 && errno == EINTR)
            continue;
        /* 0: the file has become shorter, and what was promised cannot come any more. */
        talk->broken = sent <= 0;
    }
}

static void answer(struct conversation *talk)
{
    struct file file = {.descriptor = -1};

    if (talk->parser.method != HTTP_GET && talk->parser.method != HTTP_HEAD) {
        say_status(talk, 405, NULL);
        return;
    }
    int status = file_open(talk->config->root, talk->request.target, &file);
    if (status != 200) {
        say_status(talk, status, NULL);
        return;
    }
    say_file(talk, &file);
    close(file.descriptor);
}

/* ---- what the parser finds ---- */

static struct conversation *of(llhttp_t *parser)
{
    return parser->data;
}

/* This request cannot be read to its end: what follows has no meaning. */
static int refuse(struct conversation *talk, int status)
{
    talk->request.status = status;
    return HPE_USER;
}

static int on_begin(llhttp_t *parser)
{
    memset(&of(parser)->request, 0, sizeof(struct request));
    of(parser)->request.begun = true;
    parser->method = HTTP_GET; /* until another one has been read, not that of the request before */
    return 0;
}

/* A part may come in pieces, cut wherever a recv(2) ended. What finds no room in `to`, which has
 * room for `most` bytes and a NUL, is counted only. */
static void append(char *to, size_t *bytes, size_t most, const char *piece, size_t length)
{
    if (*bytes < most)
        memcpy(to + *bytes, piece, length < most - *bytes ? length : most - *bytes);
    *bytes += length;
}

static int on_target(llhttp_t *parser, const char *piece, size_t length)
{
    struct request *request = &of(parser)->request;

    append(request->target, &request->target_bytes, TARGET_MAX, piece, length);
    return request->target_bytes > TARGET_MAX ? refuse(of(parser), 414) : 0;
}

static int count_head(struct conversation *talk, size_t length)
{
    talk->request.head_bytes += length;
    return talk->request.head_bytes > HEAD_MAX ? refuse(talk, 431) : 0;
}

static int on_field(llhttp_t *parser, const char *piece, size_t length)
{
    struct request *request = &of(parser)->request;

    append(request->field, &request->field_bytes, sizeof(request->field) - 1, piece, length);
    return count_head(of(parser), length);
}

static int on_value(llhttp_t *parser, const char *piece, size_t length)
{
    struct request *request = &of(parser)->request;

    append(request->value, &request->value_bytes, sizeof(request->value) - 1, piece, length);
    return count_head(of(parser), length);
}

static int on_value_end(llhttp_t *parser)
{
    struct request *request = &of(parser)->request;

    if (strcasecmp(request->field, "host") == 0)
        request->hosts++;
    if (strcasecmp(request->field, "expect") == 0 &&
        strcasecmp(request->value, "100-continue") == 0)
        request->expects = true;
    memset(request->field, 0, sizeof(request->field));
    memset(request->value, 0, sizeof(request->value));
    request->field_bytes = request->value_bytes = 0;
    return count_head(of(parser), 4); /* a field costs at least its ": " and the end of its line */
}

static int on_head(llhttp_t *parser)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct conversation *talk = of(parser);
    bool old = parser->http_major == 1 && parser->http_minor == 0;

    if (parser->http_major != 1)
        return refuse(talk, 505);
    /* RFC 9112, 3.2: exactly one, from HTTP/1.1 on. */
    if (talk->request.hosts > 1 || (talk->request.hosts == 0 && !old))
        return refuse(talk, 400);
    if (parser->content_length > BODY_MAX)
        return refuse(talk, 413);
    if (talk->request.expects && !old)
        say(talk, go_on, sizeof(go_on) - 1, 0);
    /* We know no other protocol: who asks for one is answered in this one (RFC 9110, 7.8). */
    parser->upgrade = 0;
    return 0;
}

/* A body is read and dropped: else it would be taken for the next request. */
static int on_body(llhttp_t *parser, const char *piece, size_t length)
{
    (void)piece;
    of(parser)->request.body_bytes += length;
    return of(parser)->request.body_bytes > BODY_MAX ? refuse(of(parser), 413) : 0;
}

static int on_end(llhttp_t *parser)
{
    struct conversation *talk = of(parser);

    talk->answered++;
    talk->over = !llhttp_should_keep_alive(parser) || talk->answered == REQUESTS_MAX;
    answer(talk);
    talk->request.begun = false;
    talk->deadline = now_ms() + talk->config->patience_ms;
    return talk->over || talk->broken ? HPE_USER : 0;
}

/* ---- the connection ---- */

/* Waits for bytes until the deadline. As recv(2); ETIMEDOUT when it has passed. */
static ssize_t hear(struct conversation *talk, char *bytes, size_t room)
{
    for (;;) {
        struct pollfd readable = {.fd = talk->connection, .events = POLLIN};
        int64_t left = talk->deadline - now_ms();
        int ready = poll(&readable, 1, left > 0 ? (int)left : 0);

        if (ready == 0)
            errno = ETIMEDOUT;
        if (ready == 0 || (ready == -1 && errno != EINTR))
            return -1;
        if (ready == 1) {
            ssize_t received = recv(talk->connection, bytes, room, MSG_DONTWAIT);
            if (received != -1 || (errno != EINTR && errno != EAGAIN))
                return received;
        }
    }
}

/*
 * Ends it so that the client can read our last word. If we closed now what he still sends, or has
 * sent and we have not read, would be answered by a reset, and that would take the reply from him:
 * RFC 9112, 9.6.
 */
static void linger(struct conversation *talk, char *bytes, size_t room)
{
    shutdown(talk->connection, SHUT_WR);
    talk->deadline = now_ms() + LINGER_MS;
    while (hear(talk, bytes, room) > 0)
        continue;
}

int http_serve(int connection, const struct http_config *config)
{
    struct conversation talk = {
        .config = config,
        .connection = connection,
        .deadline = now_ms() + config->patience_ms,
    };
    const struct timeval patience = {.tv_sec = config->patience_ms / 1000};
    llhttp_settings_t settings;
    char bytes[16 * 1024];
    ssize_t received;
    llhttp_errno_t found = HPE_OK;

    setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    llhttp_settings_init(&settings);
    settings.on_message_begin = on_begin;
    settings.on_url = on_target;
    settings.on_header_field = on_field;
    settings.on_header_value = on_value;
    settings.on_header_value_complete = on_value_end;
    settings.on_headers_complete = on_head;
    settings.on_body = on_body;
    settings.on_message_complete = on_end;
    llhttp_init(&talk.parser, HTTP_REQUEST, &settings);
    talk.parser.data = &talk;

    do {
        received = hear(&talk, bytes, sizeof(bytes));
        if (received > 0)
            found = llhttp_execute(&talk.parser, bytes, (size_t)received);
    } while (received > 0 && found == HPE_OK);

    if (talk.broken)
        return -1;
    if (received > 0 && !talk.over) { /* no request, or one that we refuse */
        talk.over = true;
        if (talk.request.status != 0)
            say_status(&talk, talk.request.status, NULL);
        else
            say_status(&talk, 400, llhttp_get_error_reason(&talk.parser));
    } else if (received == -1 && errno == ETIMEDOUT && talk.request.begun) {
        talk.over = true;
        say_status(&talk, 408, NULL);
    }
    if (talk.over && !talk.broken)
        linger(&talk, bytes, sizeof(bytes));
    return talk.broken ? -1 : 0;
}
