/*
 * Fuzz target: the supervisor of a queue, and the queue itself, against a hostile worker.
 *
 * No process is started: the places are filled with invented processes, of which one at a time is
 * this one, so that the kernel says that the messages are its. The script sends whatever a process
 * can that holds the second end, does to it whatever it can, and lets supervisor, acceptor and an
 * honest worker have their turns. Nothing may wait, and after each step the books must be right.
 */
#include "fdpass.h"
#include "log.h"
#include "process.h"
#include "script.h"

#include <limits.h>

#include "../../chapters/07-one-queue/queue.c" /* by its path: its name alone is this file's */

enum { WORKERS = 3, PLACES = WORKERS + 1, MOST_STEPS = 256, MOST_BYTES = 600, MOST_FDS = 3 };

static struct supervisor *supervisor;
static struct pool_config config;
static int file; /* what is sent, hostile or not */
static int said;

static void count_line(const char *line, void *context)
{
    (void)line;
    (void)context;
    said++;
}

static bool has(int fd, short events)
{
    struct pollfd one = {.fd = fd, .events = events};

    return poll(&one, 1, 0) == 1 && (one.revents & events);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    config =
        (struct pool_config){.listener = -1, .stop = -1, .workers = WORKERS, .log = count_line};
    supervisor = prepare(&config);
    file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    DEMAND(supervisor && file != -1);
    supervisor->way = &usual_way;
    close(supervisor->queue[FIRST]);
    close(supervisor->queue[SECOND]);
    return 0;
}

/* ---- what a hostile worker can do ---- */

static void send_something(struct script *script, int fd, bool with_descriptors)
{
    static uint8_t bytes[MOST_BYTES];
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(MOST_FDS * sizeof(int))];
    } control = {0};
    struct iovec iov = {.iov_base = bytes, .iov_len = script_byte(script) * 2u % MOST_BYTES};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

    bytes[0] = script_byte(script);
    if (with_descriptors) {
        size_t count = 1 + script_byte(script) % MOST_FDS;
        int fds[MOST_FDS] = {file, file, file};
        message.msg_control = control.space;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(header), fds, count * sizeof(int));
    }
    sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void do_harm(struct script *script, int fd)
{
    int on = script_byte(script) & 1;

    switch (script_byte(script) % 4) {
    case 0:
        shutdown(fd, script_byte(script) % 3);
        break;
    case 1:
        fcntl(fd, F_SETFL, on ? O_NONBLOCK : 0);
        break;
    case 2:
        setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
        break;
    case 3:
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){script_byte(script) * 100}, sizeof(int));
        break;
    }
}

/* ---- whose turn it is ---- */

/* A process begins in a place; or this one is in that place from now on. */
static void begin(int place, bool this_one)
{
    struct member *member = &supervisor->members[place];

    if (member->state == GONE) {
        *member = (struct member){.state = STARTING,
                                  .was_idle = member->was_idle,
                                  .failing = member->failing,
                                  .pid = INT_MAX - place};
        supervisor->starting++;
    }
    for (int i = 0; i < PLACES && this_one; i++)
        if (supervisor->members[i].pid == getpid())
            supervisor->members[i].pid = INT_MAX - i;
    if (this_one)
        member->pid = getpid();
}

static void let_accept(void)
{
    if (!has(supervisor->queue[FIRST], POLLOUT))
        return; /* it would sleep */
    int connection = fcntl(file, F_DUPFD_CLOEXEC, 0);
    if (put(supervisor->queue[FIRST], connection) == 0)
        return;
    DEMAND(errno == EPIPE || errno == EAGAIN);
    supervisor->broken = supervisor->broken || errno == EPIPE;
    close(connection);
}

static void let_work(void)
{
    int connection;
    char byte;

    if (!has(supervisor->queue[SECOND], POLLIN))
        return;
    ssize_t count = read_fd(supervisor->queue[SECOND], &byte, 1, &connection);
    DEMAND(count <= 1);
    if (connection != -1)
        close(connection);
}

static void check_the_books(void)
{
    int starting = 0, were_idle = 0;

    for (int i = 0; i < PLACES; i++) {
        starting += supervisor->members[i].state == STARTING;
        were_idle += supervisor->members[i].was_idle && i != acceptor_place(supervisor);
    }
    DEMAND(supervisor->starting == starting);
    DEMAND(supervisor->were_idle == were_idle);
    DEMAND(!supervisor->failed || !supervisor->ready);
}

static void step(struct script *script)
{
    int fd = supervisor->queue[SECOND];

    switch (script_byte(script) % 8) {
    case 0:
    case 1:
        send_something(script, fd, false);
        break;
    case 2:
        send_something(script, fd, true);
        break;
    case 3:
        do_harm(script, fd);
        break;
    case 4:
        begin(script_byte(script) % PLACES, script_byte(script) & 1);
        break;
    case 5:
        read_reports(supervisor);
        if (supervisor->broken && (script_byte(script) & 1))
            replace_queue(supervisor);
        break;
    case 6:
        let_accept();
        break;
    case 7:
        let_work();
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct script script = {data, data + size};
    int opened = open_descriptors();

    memset(supervisor->members, 0, PLACES * sizeof(*supervisor->members));
    supervisor->starting = supervisor->were_idle = said = 0;
    supervisor->broken = supervisor->failed = false;
    supervisor->ready = script_byte(&script) & 1;
    DEMAND(queue_open(supervisor->queue, QUEUE_LENGTH) == 0);
    for (int i = 0; i < MOST_STEPS && script_left(&script) > 0; i++) {
        step(&script);
        check_the_books();
        DEMAND(open_descriptors() == opened + 2); /* what was sent back is nobody's */
    }
    lose_queue(supervisor);
    DEMAND(!has(supervisor->queue[SECOND], POLLIN) || supervisor->broken ||
           recv(supervisor->queue[SECOND], &(char){0}, 1, MSG_DONTWAIT) <= 0);
    close(supervisor->queue[FIRST]);
    close(supervisor->queue[SECOND]);
    DEMAND(open_descriptors() == opened);
    return 0;
}
