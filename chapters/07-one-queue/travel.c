#define _GNU_SOURCE 1 /* pipe2 */

#include "travel.h"

#include "fdpass.h"
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

/* A worker that cannot begin. */
static int no_work(int queue)
{
    int error = errno;

    queue_cannot_start(queue, error);
    errno = error;
    return -1;
}

/* ---- epoll: the same worker again, while it is idle ---- */

static int epoll;

static ssize_t warm_take(int queue, int *connection)
{
    struct epoll_event event;
    char byte;

    for (;;) {
        ssize_t count = read_fd(queue, &byte, 1, connection);
        if (count != -1 || errno != EAGAIN)
            return count;
        epoll_wait(epoll, &event, 1, -1); /* whatever it says: the queue is looked at */
    }
}

static int warm_work(int queue, int (*serve)(int connection))
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE};

    epoll = epoll_create1(EPOLL_CLOEXEC); /* of each worker: in one that is shared the last wakes */
    if (epoll == -1 || epoll_ctl(epoll, EPOLL_CTL_ADD, queue, &event) == -1 ||
        fcntl(queue, F_SETFL, O_NONBLOCK) == -1)
        return no_work(queue);
    return queue_work_by(queue, warm_take, serve);
}

/* ---- pidfd: only the number travels ---- */

enum {
    LOOK_MS = 100,  /* how often the acceptor looks at its copies, ... */
    LOOK_AFTER = 8, /* ... or when it has so many of them */
    TAKEN_MS = 1000 /* in which a worker that has taken a number says so */
};

struct number {
    pid_t acceptor;
    int descriptor;  /* its number there ... */
    uint64_t cookie; /* ... of this socket: it may be another's by now */
};

/* SO_COOKIE, since Linux 4.12: no two sockets have the same (fact: a-cookie-names-a-socket). */
static uint64_t cookie_of(int connection)
{
    uint64_t cookie = 0;
    socklen_t length = sizeof(cookie);

    getsockopt(connection, SOL_SOCKET, SO_COOKIE, &cookie, &length);
    return cookie;
}

static int taken[2]; /* a pipe on which workers say which ones they have copied */

/* What the acceptor still has of the connections that are on their way. */
static struct {
    struct copy {
        bool open;
        uint64_t cookie;
        int64_t sent_ms;
    } * by_number;
    int most, open;
    int highest; /* number so far */
    int64_t looked_ms, empty_ms;
} copies;

static void nothing(int signal_number)
{
    (void)signal_number;
}

static int copies_begin(void)
{
    struct sigaction action = {.sa_handler = nothing}; /* without SA_RESTART: EINTR */
    struct rlimit limit;

    sigaction(SIGALRM, &action, NULL);
    prctl(PR_SET_PTRACER, getppid()); /* its children may look in here: Yama. Without it: EINVAL */
    copies.most = 1 << 20;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < (rlim_t)copies.most)
        copies.most = (int)limit.rlim_cur;
    copies.by_number = calloc((size_t)copies.most, sizeof(*copies.by_number));
    return copies.by_number ? 0 : -1;
}

static void close_copy(int number)
{
    close(number);
    copies.by_number[number].open = false;
    copies.open--;
}

/* Closes those of which a worker has its own by now. */
static void close_taken(void)
{
    struct number numbers[64];
    ssize_t length;

    while ((length = read(taken[0], numbers, sizeof(numbers))) > 0) {
        for (size_t i = 0; i < (size_t)length / sizeof(*numbers); i++) {
            int number = numbers[i].descriptor;
            /* It may come late: from a worker that was stopped, or of an acceptor before this one.
             */
            if (number >= 0 && number < copies.most && copies.by_number[number].open &&
                copies.by_number[number].cookie == numbers[i].cookie)
                close_copy(number);
        }
    }
}

/* Who has taken a number and does not say so is dead; or stopped, and will find its cookie wrong.
 * Taken is what was sent before the queue was last seen empty; and since then it had the time. */
static void close_orphans(int queue)
{
    int64_t now = now_ms();
    int queued = 0;

    if (copies.open == 0 || now < copies.looked_ms + TAKEN_MS)
        return;
    copies.looked_ms = now;
    if (ioctl(queue, TIOCOUTQ, &queued) == -1 || queued > 0)
        return; /* some may wait still */
    for (int i = 0; i <= copies.highest; i++)
        if (copies.by_number[i].open && copies.by_number[i].sent_ms < copies.empty_ms)
            close_copy(i);
    copies.empty_ms = now;
}

/* While it is on, accept4 is interrupted ten times a second. A time limit of the listener would be
 * that of its connections, too (fact: so-rcvtimeo-is-inherited-by-accepted-connections). */
static void interrupt_accept(bool on)
{
    struct itimerval often = {{.tv_usec = on ? LOOK_MS * 1000 : 0},
                              {.tv_usec = on ? LOOK_MS * 1000 : 0}};

    setitimer(ITIMER_REAL, &often, NULL);
}

static void number_rest(int queue)
{
    close_taken();
    close_orphans(queue);
    if (copies.open == 0)
        interrupt_accept(false);
}

static int number_put(int queue, int connection)
{
    struct number message = {
        .acceptor = getpid(), .descriptor = connection, .cookie = cookie_of(connection)};

    if (!copies.by_number && copies_begin() == -1)
        return -1;
    if (send(queue, &message, sizeof(message), MSG_NOSIGNAL) == -1)
        return -1;
    copies.by_number[connection] =
        (struct copy){.open = true, .cookie = message.cookie, .sent_ms = now_ms()};
    if (connection > copies.highest)
        copies.highest = connection;
    if (copies.open++ == 0)
        interrupt_accept(true);
    if (copies.open % LOOK_AFTER == 0)
        number_rest(queue);
    return 0;
}

/* Copies a descriptor of the acceptor into this process; it is close-on-exec. -1 with errno: ESRCH
 * or EBADF when that acceptor has died, and its connections with it. */
static int copy(const struct number *number)
{
    static pid_t last; /* an acceptor, ... */
    static int pidfd;  /* ... and a descriptor for it */
    int connection = -1;

    if (number->acceptor == last)
        connection = (int)syscall(SYS_pidfd_getfd, pidfd, number->descriptor, 0);
    if (number->acceptor == last && (connection != -1 || errno != ESRCH))
        return connection;
    if (last != 0)
        close(pidfd);
    pidfd = (int)syscall(SYS_pidfd_open, number->acceptor, 0);
    last = pidfd == -1 ? 0 : number->acceptor;
    if (pidfd == -1)
        return -1;
    return (int)syscall(SYS_pidfd_getfd, pidfd, number->descriptor, 0);
}

static ssize_t number_take(int queue, int *connection)
{
    struct number number;

    for (;;) {
        ssize_t count = recv(queue, &number, sizeof(number), 0);
        *connection = -1;
        if (count == -1 && errno == EINTR)
            continue;
        if (count != sizeof(number))
            return count;
        *connection = copy(&number);
        if (*connection == -1 && errno != ESRCH && errno != EBADF)
            return -1;
        if (*connection != -1 && cookie_of(*connection) != number.cookie) {
            close(*connection);
            *connection = -1;
        }
        if (*connection == -1)
            continue; /* it was closed: the acceptor has died, or thought that we had */
        /* If there is no room, nobody has read thousands of them; and this one is an orphan, later.
         */
        ssize_t told = write(taken[1], &number, sizeof(number));
        (void)told;
        return count;
    }
}

static int (*service)(int connection);

/* The acceptor may have it open still: so the client would not see its end when this closes it. */
static int serve_and_shut(int connection)
{
    int result = service(connection);

    shutdown(connection, SHUT_RDWR);
    return result;
}

static int number_work(int queue, int (*serve)(int connection))
{
    service = serve;
    return queue_work_by(queue, number_take, serve_and_shut);
}

/* Ends with 0, or the errno, of what a worker will do: take a descriptor of a sibling. */
static _Noreturn void try_to_take(pid_t sibling)
{
    int pidfd = (int)syscall(SYS_pidfd_open, sibling, 0);

    _exit(pidfd != -1 && syscall(SYS_pidfd_getfd, pidfd, taken[0], 0) != -1 ? 0 : errno);
}

static int number_open(void)
{
    int ready[2], status = 0;
    char byte;
    pid_t sibling, taker = -1;

    if (pipe2(taken, O_CLOEXEC | O_NONBLOCK) == -1)
        return -1;
    if (pipe2(ready, O_CLOEXEC) == -1)
        return -1;
    sibling = fork_child();
    if (sibling == 0) {
        prctl(PR_SET_PTRACER, getppid());
        close(ready[0]);
        close(ready[1]);
        pause();
        _exit(0);
    }
    close(ready[1]);
    if (sibling != -1 && read(ready[0], &byte, 1) == 0) { /* it has come so far */
        taker = fork_child();
        if (taker == 0)
            try_to_take(sibling);
    }
    close(ready[0]);
    if (taker != -1)
        waitpid(taker, &status, 0);
    if (sibling != -1) {
        kill(sibling, SIGKILL);
        waitpid(sibling, NULL, 0);
    }
    errno = taker == -1 ? EAGAIN : WIFEXITED(status) ? WEXITSTATUS(status) : EPERM;
    return errno == 0 ? 0 : -1;
}

static const struct queue_way by_number = {.put = number_put, .rest = number_rest};

const struct travel travels[] = {
    {.name = "rights", .work = queue_work},
    {.name = "epoll", .work = warm_work},
    {.name = "pidfd", .open = number_open, .way = &by_number, .work = number_work},
    {0},
};
