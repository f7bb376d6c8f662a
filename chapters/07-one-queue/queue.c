#define _GNU_SOURCE 1 /* accept4, struct ucred */

#include "queue.h"

#include "fdpass.h"
#include "log.h"
#include "process.h"
#include "procstat.h"
#include "workers.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FIRST, SECOND }; /* the ends of a queue: the acceptor's, the workers' */

enum {
    START_MS = 10000, /* unless pool_config says otherwise */
    GRACE_MS = 500,
    IDLE_MS = 50,      /* at the end, before who is not idle is told */
    MOMENT_MS = 100,   /* how long to wait before something that failed is tried again */
    AT_ONCE = 256,     /* reports, before anything else is looked after */
    ANCESTORS = 16,    /* of who reports, among which a worker may be */
    QUEUE_BROKEN = 100 /* the acceptor's exit status */
};

/* A worker; or, in the last place, the acceptor. */
struct member {
    enum { GONE, STARTING, RUNNING } state;
    bool explained; /* why it has ended, or will: nothing more is to be said of that */
    bool failing;   /* it has been said that none can start in this place; until one does */
    bool was_idle;  /* a process in this place, at least once */
    bool outdated;  /* it has a queue that was replaced since */
    pid_t pid;
    pid_t reporter; /* itself; or who works for it, of its descendants */
};

struct supervisor {
    const struct pool_config *config;
    const struct queue_way *way;
    struct workers *places;
    atomic_bool *proofs; /* by place, shared with the processes in them */
    int queue[2];
    bool broken;      /* the queue; it is to be replaced */
    int starting;     /* members in this state */
    int were_idle;    /* places in which a worker has been idle */
    bool ready;       /* all of them, and then an acceptor */
    bool failed;      /* it has been said why */
    int64_t no_start; /* when that last failed, for series_begins */
    struct member members[];
};

static void say(const struct pool_config *config, const char *format, ...)
{
    char line[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (config->log)
        config->log(line, config->context);
    else
        log_line("%s", line);
}

/* ---- the queue ---- */

/* A message of a few bytes takes up much more than that, and the kernel counts all of it: so one is
 * sent, to see how much. Of a socket TIOCOUTQ is what linux/sockios.h calls SIOCOUTQ. */
static int message_size(const int ends[2])
{
    int size;
    char byte;

    if (send(ends[FIRST], "", 1, MSG_DONTWAIT) == -1 || ioctl(ends[FIRST], TIOCOUTQ, &size) == -1 ||
        recv(ends[SECOND], &byte, 1, MSG_DONTWAIT) == -1)
        return -1;
    return size;
}

int queue_open(int ends[2], int length)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == -1)
        return -1;
    /* The kernel doubles what it is told: SO_SNDBUF in socket(7). */
    int size = message_size(ends), room = length * (size / 2), on = 1;
    if (size != -1 && setsockopt(ends[FIRST], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)) == 0 &&
        setsockopt(ends[FIRST], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0)
        return 0;
    int error = errno;
    close(ends[FIRST]);
    close(ends[SECOND]);
    errno = error;
    return -1;
}

static int report(int queue, int error, int flags)
{
    unsigned char byte = error >= 0 && error < 255 ? (unsigned char)error : 255;
    ssize_t sent;

    while ((sent = send(queue, &byte, 1, MSG_NOSIGNAL | flags)) == -1) {
        if (errno == EAGAIN && flags == 0) /* there are many, and the queue does not block */
            poll(&(struct pollfd){.fd = queue, .events = POLLOUT}, 1, -1);
        else if (errno != EINTR)
            break;
    }
    return sent == 1 ? 0 : -1;
}

/* In a process that the supervisor has forked: where this process says that it has done some work,
 * in memory that both share. NULL in another program. */
static atomic_bool *proof;

/* A report for this wakes the supervisor; and it must hold up nobody. If it is lost, the supervisor
 * thinks a bit worse of this process, and no more. */
static void say_proved(int queue)
{
    if (proof)
        *proof = true;
    else
        report(queue, 0, MSG_DONTWAIT);
}

void queue_cannot_start(int queue, int error)
{
    /* If the report fails, the end of the process tells enough. */
    report(queue, error == 0 ? -1 : error, 0);
}

/* ---- the acceptor ---- */

/* What failed may succeed in a moment. Says so once, and not ten times a second. */
static void run_short(const struct pool_config *config, int64_t *last, const char *what)
{
    if (series_begins(last))
        say(config, "%s: %s%s; clients wait", what, strerror(errno),
            errno == ETOOMANYREFS ? ": this user has too many on their way" : "");
    poll(NULL, 0, MOMENT_MS);
}

static int put(int queue, int connection)
{
    if (write_fd(queue, "", 1, connection) == -1)
        return -1;
    close(connection); /* a worker has its own: with ours, no end-of-file */
    return 0;
}

static const struct queue_way usual_way = {.put = put};

/* Takes connections and puts them into the queue, until that is broken. */
static void move_connections(const struct supervisor *supervisor)
{
    const struct pool_config *config = supervisor->config;
    const struct queue_way *way = supervisor->way;
    int queue = supervisor->queue[FIRST], listener = config->listener;
    int64_t no_accept = 0, no_room = 0;

    for (;;) {
        int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (connection == -1) {
            if (errno == EINTR && way->rest)
                way->rest(queue);
            else if (errno == EAGAIN) /* who shares the listener has made it non-blocking */
                poll(&(struct pollfd){.fd = listener, .events = POLLIN}, 1, -1);
            else if (errno != EINTR && errno != ECONNABORTED)
                run_short(config, &no_accept, "cannot accept");
            continue;
        }
        if (config->verbose)
            say(config, "descriptor %d goes into the queue", connection);
        while (way->put(queue, connection) == -1) { /* waits while the queue is full */
            if (errno == EPIPE) {
                close(connection);
                return;
            }
            if (errno == EINTR && way->rest)
                way->rest(queue);
            else if (errno != EINTR)
                run_short(config, &no_room, "cannot put a connection into the queue");
        }
        *proof = true;
    }
}

static _Noreturn void acceptor_begin(const struct supervisor *supervisor)
{
    prctl(PR_SET_NAME, "acceptor"); /* in ps(1) and top(1) */
    close(supervisor->config->stop);
    report(supervisor->queue[SECOND], 0, 0);
    close(supervisor->queue[SECOND]);
    move_connections(supervisor);
    close(supervisor->queue[FIRST]);
    _exit(QUEUE_BROKEN);
}

static _Noreturn void worker_begin(const struct supervisor *supervisor)
{
    const struct pool_config *config = supervisor->config;

    close(supervisor->queue[FIRST]); /* with it, this worker would never read end-of-file */
    close(config->listener);
    close(config->stop);
    _exit(config->start(supervisor->queue[SECOND], config->context));
}

/* ---- the supervisor: one member ---- */

static int acceptor_place(const struct supervisor *supervisor)
{
    return supervisor->config->workers;
}

static bool all_were_idle(const struct supervisor *supervisor)
{
    return supervisor->were_idle == supervisor->config->workers;
}

static const char *called(const struct supervisor *supervisor, int place)
{
    return place == acceptor_place(supervisor) ? "acceptor" : "worker";
}

/* At the beginning that ends the server, since the others will fare no better; later the others
 * serve on, and the place is tried again. */
static void cannot_start(struct supervisor *supervisor, int place, const char *format, ...)
{
    struct member *member = &supervisor->members[place];
    char why[256];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(why, sizeof(why), format, arguments);
    va_end(arguments);
    member->explained = true;
    if (supervisor->ready ? !member->failing : !supervisor->failed)
        say(supervisor->config, "%s%s", why, supervisor->ready ? "; will try again" : "");
    member->failing = true;
    supervisor->failed = !supervisor->ready;
}

/* What a worker may have asked for at the end that all share: then each message would bring what
 * nobody else expects. */
static void clear_options(int queue)
{
    int off = 0;

    setsockopt(queue, SOL_SOCKET, SO_PASSCRED, &off, sizeof(off));
#ifdef SO_PASSPIDFD
    setsockopt(queue, SOL_SOCKET, SO_PASSPIDFD, &off, sizeof(off));
#endif
}

static int member_start(struct supervisor *supervisor, int place)
{
    clear_options(supervisor->queue[SECOND]);
    supervisor->proofs[place] = false;
    pid_t pid = workers_start(supervisor->places, place);
    if (pid == 0)
        proof = &supervisor->proofs[place];
    if (pid == 0 && place == acceptor_place(supervisor))
        acceptor_begin(supervisor);
    if (pid == 0)
        worker_begin(supervisor);
    if (pid == -1)
        return -1;
    struct member *member = &supervisor->members[place];
    member->state = STARTING;
    member->explained = member->outdated = false;
    member->pid = pid;
    supervisor->starting++;
    return 0;
}

static void forget(struct supervisor *supervisor, int place)
{
    struct member *member = &supervisor->members[place];

    supervisor->starting -= member->state == STARTING;
    member->state = GONE;
    member->pid = member->reporter = 0;
}

/* The place of a process, or of an ancestor: its program may have been started by another one, that
 * stays (a shell, a sandbox). Returns -1 for a stranger. */
static int place_of(const struct supervisor *supervisor, pid_t pid)
{
    struct procstat stat;

    for (int i = 0; i < ANCESTORS && pid > 1; i++) {
        for (int place = 0; place <= acceptor_place(supervisor); place++)
            if (supervisor->members[place].pid == pid || supervisor->members[place].reporter == pid)
                return place;
        /* Only for who has not begun is that worth a look. */
        if (supervisor->starting == 0 || !procstat_read(pid, &stat))
            return -1;
        pid = stat.parent;
    }
    return -1;
}

static void take_report(struct supervisor *supervisor, pid_t pid, unsigned char report)
{
    int place = place_of(supervisor, pid);
    struct member *member = &supervisor->members[place == -1 ? 0 : place];

    if (place == -1)
        return;
    if (member->state == RUNNING) { /* its second one: it has done some work */
        workers_proved(supervisor->places, place);
    } else if (report != 0) {
        cannot_start(supervisor, place, "a worker cannot start: %s", strerror(report));
        forget(supervisor, place);
        workers_dismiss(supervisor->places, place, GRACE_MS);
    } else {
        member->state = RUNNING;
        member->reporter = pid;
        member->failing = false;
        supervisor->starting--;
        if (!member->was_idle && place != acceptor_place(supervisor))
            supervisor->were_idle++;
        member->was_idle = true;
    }
}

/* Reads what the members report; the kernel says who it is. */
static void read_reports(struct supervisor *supervisor)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(struct ucred))];
    } control;
    unsigned char byte = 0;
    struct iovec iov = {.iov_base = &byte, .iov_len = 1};

    for (int i = 0; i < AT_ONCE && !supervisor->broken; i++) {
        /* There is no room for descriptors: the kernel keeps them off. */
        struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
        message.msg_control = control.space;
        message.msg_controllen = sizeof(control.space);
        ssize_t count =
            recvmsg(supervisor->queue[FIRST], &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (count == -1)
            return;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        if (header && header->cmsg_type == SCM_CREDENTIALS) {
            struct ucred sender;
            memcpy(&sender, CMSG_DATA(header), sizeof(sender));
            if (count == 1)
                take_report(supervisor, sender.pid, byte);
        } else if (count == 0) {
            supervisor->broken = true; /* somebody has shut it down */
        }
    }
}

static void member_died(struct supervisor *supervisor, int place, pid_t pid, int status)
{
    const struct pool_config *config = supervisor->config;
    struct member *member = &supervisor->members[place];
    int signal_number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    const char *who = called(supervisor, place);

    if (place == acceptor_place(supervisor) && !member->outdated && WIFEXITED(status) &&
        WEXITSTATUS(status) == QUEUE_BROKEN)
        supervisor->broken = true;
    bool unexplained = member->state == STARTING && !member->explained && !member->outdated;
    forget(supervisor, place);
    if (config->verbose && signal_number != 0)
        say(config, "%s %d died of signal %d (%s)", who, (int)pid, signal_number,
            strsignal(signal_number));
    else if (config->verbose)
        say(config, "%s %d ended with status %d", who, (int)pid, WEXITSTATUS(status));
    if (config->died)
        config->died(pid, status, workers_deaths(supervisor->places), config->context);

    if (unexplained && signal_number == 0)
        cannot_start(supervisor, place, "%s %d ended with status %d before it was idle", who,
                     (int)pid, WEXITSTATUS(status));
    else if (unexplained && signal_number != SIGKILL && signal_number != SIGTERM)
        cannot_start(supervisor, place, "%s %d died of signal %d (%s) before it was idle", who,
                     (int)pid, signal_number, strsignal(signal_number));
}

/* ---- the supervisor: all of them ---- */

static void find_dead(struct supervisor *supervisor)
{
    pid_t pid;
    int status, place;

    while ((place = workers_reap(supervisor->places, &pid, &status)) != -1) {
        read_reports(supervisor); /* its last words: since poll looked, perhaps */
        if (supervisor->proofs[place])
            workers_proved(supervisor->places, place);
        member_died(supervisor, place, pid, status);
    }
}

static void fill_places(struct supervisor *supervisor)
{
    int place;

    /* For a queue that is broken nobody is of use. */
    while (!supervisor->broken && (place = workers_vacant(supervisor->places)) != -1) {
        if (place == acceptor_place(supervisor) && !all_were_idle(supervisor)) {
            workers_put_off(supervisor->places, place); /* until `run` calls it back */
            continue;
        }
        if (member_start(supervisor, place) == 0)
            continue;
        if (!supervisor->ready && place == acceptor_place(supervisor))
            cannot_start(supervisor, place, "cannot start the acceptor: %s", strerror(errno));
        else if (!supervisor->ready)
            cannot_start(supervisor, place, "cannot start worker %d of %d: %s", place + 1,
                         supervisor->config->workers, strerror(errno));
        else if (series_begins(&supervisor->no_start))
            say(supervisor->config, "cannot start %s %s: %s; will try again",
                place == acceptor_place(supervisor) ? "the" : "a", called(supervisor, place),
                strerror(errno));
    }
}

/* Ends those that were to report long before `looked`, when poll last began to look. */
static void find_late_starters(struct supervisor *supervisor, int64_t looked)
{
    int start_ms = supervisor->config->start_ms ? supervisor->config->start_ms : START_MS;

    for (int i = 0; i <= acceptor_place(supervisor) && supervisor->starting > 0; i++) {
        struct member *member = &supervisor->members[i];
        if (member->state != STARTING ||
            workers_birth_ms(supervisor->places, i) + start_ms >= looked)
            continue;
        cannot_start(supervisor, i, "%s %d has not reported for %g seconds", called(supervisor, i),
                     (int)member->pid, start_ms / 1000.0);
        forget(supervisor, i);
        workers_dismiss(supervisor->places, i, 0);
    }
}

/* Those who read the old one find its end, when they have served what is in it. */
static void replace_queue(struct supervisor *supervisor)
{
    int *queue = supervisor->queue, fresh[2];
    pid_t acceptor = workers_pid(supervisor->places, acceptor_place(supervisor));

    if (queue_open(fresh, QUEUE_LENGTH) == -1) {
        if (series_begins(&supervisor->no_start))
            say(supervisor->config, "cannot replace the queue: %s; will try again",
                strerror(errno));
        return;
    }
    say(supervisor->config, "the queue was shut down; there is another one");
    if (acceptor != 0) {
        workers_proved(supervisor->places, acceptor_place(supervisor));
        kill(acceptor, SIGTERM);
        workers_dismiss(supervisor->places, acceptor_place(supervisor), GRACE_MS);
    }
    for (int i = 0; i <= acceptor_place(supervisor); i++)
        supervisor->members[i].outdated = true;
    close(queue[FIRST]);
    close(queue[SECOND]);
    memcpy(queue, fresh, sizeof(fresh));
    supervisor->broken = false;
}

static int run(struct supervisor *supervisor)
{
    enum { STOP, DEATHS, REPORTS, NEWS };
    struct pollfd news[NEWS] = {
        [STOP] = {.fd = supervisor->config->stop, .events = POLLIN},
        [DEATHS] = {.fd = workers_descriptor(supervisor->places), .events = POLLIN},
        [REPORTS] = {.events = POLLIN},
    };

    while (!supervisor->failed) {
        fill_places(supervisor);
        int64_t looked = supervisor->starting > 0 ? now_ms() : 0;
        int ms = workers_timeout(supervisor->places);
        if (supervisor->broken || (supervisor->starting > 0 && (ms == -1 || ms > MOMENT_MS)))
            ms = MOMENT_MS;
        news[REPORTS].fd = supervisor->broken ? -1 : supervisor->queue[FIRST];
        if (poll(news, NEWS, ms) == -1) {
            poll(NULL, 0, MOMENT_MS); /* out of memory, or a handler of the caller's: again */
            continue;
        }
        if (news[STOP].revents)
            return 0;
        if (news[REPORTS].fd != -1 && news[REPORTS].revents)
            read_reports(supervisor);
        if (news[DEATHS].revents)
            find_dead(supervisor);
        if (looked != 0)
            find_late_starters(supervisor, looked);
        if (supervisor->broken)
            replace_queue(supervisor);

        int last = acceptor_place(supervisor);
        if (all_were_idle(supervisor) && supervisor->members[last].pid == 0 && !supervisor->ready)
            workers_proved(supervisor->places, last); /* it need not be put off any longer */
        if (!supervisor->ready && supervisor->members[last].was_idle) {
            supervisor->ready = true;
            if (supervisor->config->ready)
                supervisor->config->ready(supervisor->config->context);
        }
    }
    return -1;
}

/* Nobody reads the queue any more: closes the connections in it. */
static void lose_queue(const struct supervisor *supervisor)
{
    int lost = 0;
    char byte;

    for (;;) {
        struct iovec iov = {.iov_base = &byte, .iov_len = 1};
        struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1}; /* no room for descriptors */
        if (recvmsg(supervisor->queue[SECOND], &message, MSG_DONTWAIT) <= 0)
            break;
        lost++;
    }
    if (lost > 0)
        say(supervisor->config, "%d connection%s lost, which waited in the queue", lost,
            lost == 1 ? "" : "s");
}

static void end_all(struct supervisor *supervisor)
{
    const struct pool_config *config = supervisor->config;

    if (workers_pid(supervisor->places, acceptor_place(supervisor)) != 0)
        kill(workers_pid(supervisor->places, acceptor_place(supervisor)), SIGTERM);
    shutdown(supervisor->queue[FIRST], SHUT_WR);
    poll(NULL, 0, IDLE_MS); /* who is idle reads end-of-file, and ends */
    for (int i = 0; i < config->workers; i++)
        if (workers_pid(supervisor->places, i) != 0)
            kill(workers_pid(supervisor->places, i), SIGTERM);
    workers_close(supervisor->places, config->grace_ms ? config->grace_ms : GRACE_MS);
    lose_queue(supervisor);
}

static void release(struct supervisor *supervisor)
{
    munmap(supervisor->proofs, (size_t)acceptor_place(supervisor) + 1);
    close(supervisor->queue[FIRST]);
    close(supervisor->queue[SECOND]);
    free(supervisor);
}

/* Returns NULL, having said why. */
static struct supervisor *prepare(const struct pool_config *config)
{
    size_t places = (size_t)config->workers + 1;
    struct supervisor *supervisor =
        calloc(1, sizeof(*supervisor) + places * sizeof(supervisor->members[0]));
    void *proofs = mmap(NULL, places, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (!supervisor || proofs == MAP_FAILED || queue_open(supervisor->queue, QUEUE_LENGTH) == -1) {
        say(config, "no queue: %s", strerror(errno));
        if (proofs != MAP_FAILED)
            munmap(proofs, places);
        free(supervisor);
        return NULL;
    }
    supervisor->config = config;
    supervisor->proofs = proofs;
    supervisor->places = workers_open((int)places);
    if (supervisor->places)
        return supervisor;
    if (errno == EXDEV)
        say(config, "%s", children_impossible());
    else
        say(config, "no workers: %s", strerror(errno));
    release(supervisor);
    return NULL;
}

int queue_run(const struct pool_config *config, const struct queue_way *way)
{
    struct supervisor *supervisor = prepare(config);

    if (!supervisor)
        return -1;
    supervisor->way = way ? way : &usual_way;
    workers_watch(supervisor->places); /* if that cannot be, deaths are seen by SIGCHLD alone */
    fcntl(config->listener, F_SETFL, fcntl(config->listener, F_GETFL) & ~O_NONBLOCK);

    bool waits = wait_for_the_cpu();
    int result = run(supervisor);
    end_all(supervisor);
    if (waits)
        push_for_the_cpu();
    release(supervisor);
    return result;
}

/* ---- the worker's side ---- */

/* Whether this process may open one more descriptor: else it must not take a connection, which
 * would be lost. One that is served and closed leaves room for the next. */
static bool has_room(int queue)
{
    int room = fcntl(queue, F_DUPFD_CLOEXEC, 0);

    if (room == -1)
        return false;
    close(room);
    return true;
}

int queue_work_by(int queue, ssize_t (*take)(int queue, int *connection),
                  int (*serve)(int connection))
{
    int error = has_room(queue) ? 0 : errno;
    bool proved = false;

    if (error != 0)
        queue_cannot_start(queue, error);
    else if (report(queue, 0, 0) == -1)
        error = errno;
    while (error == 0) {
        int connection;
        ssize_t count = take(queue, &connection);
        if (count == 0)
            return 0;
        if (count == -1 && errno == EAGAIN) { /* another worker has made it non-blocking for all */
            poll(&(struct pollfd){.fd = queue, .events = POLLIN}, 1, -1);
            continue;
        }
        if (connection == -1) {
            error = count > 0 ? EPROTO : errno;
            break;
        }
        serve(connection);
        close(connection);
        if (!proved)
            say_proved(queue);
        proved = true;
    }
    errno = error;
    return error == EPIPE || error == ECONNRESET ? 0 : -1; /* the supervisor has gone */
}

static ssize_t take(int queue, int *connection)
{
    char byte;

    return read_fd(queue, &byte, 1, connection);
}

int queue_work(int queue, int (*serve)(int connection))
{
    return queue_work_by(queue, take, serve);
}
