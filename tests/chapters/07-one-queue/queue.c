/*
 * Unit test of chapters/07-one-queue/queue.c: the queue and its bound, the worker's side of it, and
 * workers that harm it. The supervisor runs in a process of its own; this one is its client.
 */
#include "support.h"

#include "echo.h"
#include "fdpass.h"
#include "listener.h"
#include "process.h"
#include "queue.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FIRST, SECOND };

/* ---- a supervisor, and what it shares with this process ---- */

/* So many calls succeed, and then so many fail with this errno. */
struct fault {
    int before, times, error;
};

static struct shared {
    int begun;   /* how many workers have */
    int ready;   /* how often `ready` was called */
    int deaths;  /* and `died` */
    int harmful; /* worker 1 has done its harm so often */
    int finish;  /* the next worker that serves shuts the queue down */
    pid_t helper;
    struct fault sendmsg, accept, fork, socketpair, calloc, setsockopt;
} * shared;

static bool verbose;
static void (*take_line)(const char *line, void *context);

static bool fails(struct fault *fault)
{
    if (fault->times == 0 || fault->before-- > 0)
        return false;
    fault->before = 0;
    fault->times--;
    errno = fault->error;
    return true;
}

ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
int __real_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);
pid_t __real_fork(void);
pid_t __wrap_fork(void);
int __real_socketpair(int domain, int type, int protocol, int pair[2]);
int __wrap_socketpair(int domain, int type, int protocol, int pair[2]);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t length);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t length);

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
    return shared && fails(&shared->sendmsg) ? -1 : __real_sendmsg(fd, message, flags);
}

int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    return shared && fails(&shared->accept) ? -1 : __real_accept4(fd, address, length, flags);
}

pid_t __wrap_fork(void)
{
    return shared && fails(&shared->fork) ? -1 : __real_fork();
}

int __wrap_socketpair(int domain, int type, int protocol, int pair[2])
{
    return shared && fails(&shared->socketpair) ? -1
                                                : __real_socketpair(domain, type, protocol, pair);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return shared && fails(&shared->calloc) ? NULL : __real_calloc(count, size);
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
    return shared && fails(&shared->setsockopt) ? -1
                                                : __real_setsockopt(fd, level, name, value, length);
}

static void ready(void *context)
{
    (void)context;
    __sync_add_and_fetch(&shared->ready, 1);
}

static void died(pid_t worker, int status, long deaths, void *context)
{
    (void)worker;
    (void)status;
    (void)context;
    __atomic_store_n(&shared->deaths, (int)deaths, __ATOMIC_SEQ_CST);
}

static bool is_ready(void *unused)
{
    (void)unused;
    return __atomic_load_n(&shared->ready, __ATOMIC_SEQ_CST) > 0;
}

static bool has_ended(void *server)
{
    return process_state(((struct server *)server)->pid) == 'Z';
}

static int setup(void **state)
{
    (void)state;
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return shared == MAP_FAILED;
}

static int teardown(void **state)
{
    (void)state;
    munmap(shared, sizeof(*shared));
    shared = NULL;
    verbose = false;
    take_line = NULL;
    return 0;
}

/* Starts a supervisor with so many workers that `start`, and does not wait. */
static struct server supervise(int workers, int (*start)(int queue, void *context))
{
    struct server server = {.address = "127.0.0.1", .errors = memfd_create("errors", MFD_CLOEXEC)};
    int listener = listener_open("127.0.0.1", 0);
    pid_t self = getpid();

    assert_true(listener != -1);
    server.port = local_port(listener);
    server.pid = __real_fork();
    assert_true(server.pid != -1);
    if (server.pid == 0) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 || getppid() != self)
            _exit(126);
        dup2(server.errors, STDERR_FILENO);
        const struct pool_config config = {.listener = listener,
                                           .stop = signals_open(SIGTERM, 0),
                                           .workers = workers,
                                           .ready = ready,
                                           .start = start,
                                           .died = died,
                                           .verbose = verbose,
                                           .log = take_line,
                                           .start_ms = 2000};
        _exit(queue_run(&config, NULL) == 0 ? 0 : 1);
    }
    close(listener);
    return server;
}

static struct server serve_with(int workers, int (*start)(int queue, void *context))
{
    struct server server = supervise(workers, start);

    assert_true(wait_until(is_ready, NULL));
    return server;
}

static int own_end;

static int serve_or_finish(int connection)
{
    int result = echo(connection);

    if (__sync_bool_compare_and_swap(&shared->finish, 1, 0)) {
        shutdown(own_end, SHUT_RD);
        __sync_add_and_fetch(&shared->harmful, 1);
    }
    return result;
}

static int works(int queue, void *context)
{
    (void)context;
    own_end = queue;
    return queue_work(queue, serve_or_finish) == 0 ? 0 : 1;
}

/* The how many-th worker this is, from 1. */
static int begin(void)
{
    return __sync_add_and_fetch(&shared->begun, 1);
}

static void report(int queue)
{
    assert_int_equal(send(queue, "", 1, MSG_NOSIGNAL), 1);
}

static _Noreturn void wait_for_the_end(void)
{
    for (;;)
        pause();
}

static const char *awaited;
static bool has_said(void *server)
{
    char *errors = server_errors(server);
    bool said = strstr(errors, awaited) != NULL;

    free(errors);
    return said;
}

static void await_word(struct server *server, const char *what)
{
    awaited = what;
    assert_true(wait_until(has_said, server));
}

static void expect_said(const struct server *server, const char *what)
{
    char *errors = server_errors(server);

    if (!strstr(errors, what))
        fail_msg("wanted \"%s\", it said \"%s\"", what, errors);
    free(errors);
}

/* ---- the queue ---- */

static void takes_as_many_messages_as_it_is_long(void **state)
{
    static const int lengths[] = {8, 16, 100};
    int ends[2];

    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        int count = 0;
        assert_int_equal(queue_open(ends, lengths[i]), 0);
        while (send(ends[FIRST], "", 1, MSG_DONTWAIT) == 1)
            count++;
        assert_int_equal(errno, EAGAIN);
        assert_in_range(count, lengths[i], lengths[i] + 2);
        close(ends[FIRST]);
        close(ends[SECOND]);
    }
}

static void opens_nothing_when_it_cannot(void **state)
{
    struct rlimit before, none;
    int ends[2], opened = descriptors_of(getpid()), next = dup(STDIN_FILENO);

    (void)state;
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = (rlim_t)next + 1; /* there is room for one */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(queue_open(ends, 16), -1);
    assert_int_equal(errno, EMFILE);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(descriptors_of(getpid()), opened);
}

/* ---- a worker ---- */

static int serve_nothing(int connection)
{
    (void)connection;
    return 0;
}

/* A worker in this process, whose queue holds so many connections and then ends. */
static int work_through(int connections, int *reports)
{
    int ends[2], any = open("/dev/null", O_RDONLY | O_CLOEXEC);
    char byte;

    assert_int_equal(queue_open(ends, 16), 0);
    for (int i = 0; i < connections; i++)
        assert_int_equal(write_fd(ends[FIRST], "", 1, any), 0);
    shutdown(ends[FIRST], SHUT_WR);
    int result = queue_work(ends[SECOND], serve_nothing), error = errno;
    for (*reports = 0; recv(ends[FIRST], &byte, 1, MSG_DONTWAIT) == 1; (*reports)++)
        assert_int_equal(byte, 0);
    close(ends[FIRST]);
    close(ends[SECOND]);
    close(any);
    errno = error;
    return result;
}

static void a_worker_reports_twice(void **state)
{
    int reports;

    (void)state;
    assert_int_equal(work_through(0, &reports), 0);
    assert_int_equal(reports, 1);
    assert_int_equal(work_through(1, &reports), 0);
    assert_int_equal(reports, 2);
    assert_int_equal(work_through(5, &reports), 0);
    assert_int_equal(reports, 2);
}

/* What a worker reports, and its result, when it may open no more descriptors. */
static void a_worker_without_room_takes_nothing(void **state)
{
    struct rlimit before, none;
    int ends[2], any = open("/dev/null", O_RDONLY | O_CLOEXEC), fd;
    char byte;

    (void)state;
    assert_int_equal(queue_open(ends, 16), 0);
    assert_int_equal(write_fd(ends[FIRST], "", 1, any), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(queue_work(ends[SECOND], serve_nothing), -1);
    assert_int_equal(errno, EMFILE);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(recv(ends[FIRST], &byte, 1, MSG_DONTWAIT), 1);
    assert_int_equal(byte, EMFILE);
    assert_int_equal(read_fd(ends[SECOND], &byte, 1, &fd), 1); /* the connection is there still */
    assert_true(fd != -1);
    close(fd);
    close(any);
    close(ends[FIRST]);
    close(ends[SECOND]);
}

static int use_up(int connection)
{
    struct rlimit limit;

    (void)connection;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 1;
    return setrlimit(RLIMIT_NOFILE, &limit);
}

/* It may lose one, if its limit shrinks, or what serves leaks: and takes no other. */
static void a_worker_that_runs_out_of_room_loses_one_connection(void **state)
{
    struct rlimit before;
    int ends[2], any = open("/dev/null", O_RDONLY | O_CLOEXEC), fd;
    char byte;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(queue_open(ends, 16), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(write_fd(ends[FIRST], "", 1, any), 0);
    assert_int_equal(queue_work(ends[SECOND], use_up), -1);
    assert_int_equal(errno, EMFILE);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(read_fd(ends[SECOND], &byte, 1, &fd), 1); /* the third */
    close(fd);
    assert_int_equal(recv(ends[SECOND], &byte, 1, MSG_DONTWAIT), -1);
    close(any);
    close(ends[FIRST]);
    close(ends[SECOND]);
}

static void a_message_without_a_connection_breaks_the_protocol(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(queue_open(ends, 16), 0);
    assert_int_equal(send(ends[FIRST], "", 1, 0), 1);
    assert_int_equal(queue_work(ends[SECOND], serve_nothing), -1);
    assert_int_equal(errno, EPROTO);
    close(ends[FIRST]);
    close(ends[SECOND]);
}

static bool is_asleep(void *pid)
{
    return process_state(*(pid_t *)pid) == 'S';
}

/* Where very many start at once, there is no room for all their reports. */
static void a_worker_waits_to_report_though_its_queue_does_not_block(void **state)
{
    int ends[2], status, others = 0;
    char byte;

    (void)state;
    assert_int_equal(queue_open(ends, 16), 0);
    fcntl(ends[SECOND], F_SETFL, O_NONBLOCK);
    while (send(ends[SECOND], "", 1, 0) == 1)
        others++;
    pid_t child = __real_fork();
    assert_true(child != -1);
    if (child == 0) {
        close(ends[FIRST]);
        _exit(queue_work(ends[SECOND], serve_nothing) == 0 ? 0 : 1);
    }
    assert_true(wait_until(is_asleep, &child));
    for (int i = 0; i <= others; i++) /* and its own */
        assert_int_equal(recv(ends[FIRST], &byte, 1, 0), 1);
    close(ends[FIRST]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(ends[SECOND]);
}

/* ---- the supervisor ---- */

static bool four_have_died(void *unused)
{
    (void)unused;
    return __atomic_load_n(&shared->deaths, __ATOMIC_SEQ_CST) == 4;
}

static void is_ready_once_and_tells_of_deaths(void **state)
{
    struct server server = serve_with(3, works);
    pid_t children[4];

    (void)state;
    expect_service(&server);
    assert_int_equal(children_of(server.pid, children, 4), 4); /* and an acceptor */
    for (int i = 0; i < 4; i++)
        kill(children[i], SIGKILL);
    assert_true(wait_until(four_have_died, NULL)); /* until then one may take a connection along */
    for (int i = 0; i < 4; i++)
        expect_service(&server);
    assert_int_equal(server_stop(&server), 0);
    assert_int_equal(shared->ready, 1);
    assert_int_equal(shared->deaths, 4);
}

static bool harm_is_done(void *unused)
{
    (void)unused;
    return shared->harmful > 0;
}

static bool is_served(const struct server *server)
{
    char byte = '?';
    int connection = connect_to(server);
    bool served =
        send(connection, &byte, 1, MSG_NOSIGNAL) == 1 && recv(connection, &byte, 1, 0) == 1;

    close(connection);
    return served;
}

/* The acceptor ends by itself, and another one serves: so what it did is counted by gcov, too. */
static void expect_a_new_acceptor(struct server *server)
{
    int served = connect_to(server);
    exchange(served, "here", 4);
    shared->harmful = 0;
    __atomic_store_n(&shared->finish, 1, __ATOMIC_SEQ_CST);
    close(served);
    assert_true(wait_until(harm_is_done, NULL));
    int last = connect_to(server); /* which it cannot put in any more */
    await_word(server, "the queue was shut down; there is another one");
    close(last);
    expect_service(server);
}

static void drops_no_connection_that_cannot_be_put_in(void **state)
{
    static const int errors[] = {ETOOMANYREFS, ENOBUFS, ENOMEM, EINTR};

    (void)state;
    for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
        struct server server = serve_with(2, works);
        shared->sendmsg = (struct fault){.times = 3, .error = errors[i]};
        for (int j = 0; j < 4; j++)
            expect_service(&server);
        if (errors[i] != EINTR)
            expect_said(&server, "cannot put a connection into the queue: ");
        expect_a_new_acceptor(&server);
        assert_int_equal(server_stop(&server), 0);
        shared->ready = 0;
    }
}

static void goes_on_when_accept_fails(void **state)
{
    static const int errors[] = {EMFILE, EAGAIN, EINTR, ECONNABORTED};

    (void)state;
    for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
        struct server server = serve_with(2, works);
        expect_service(&server);
        shared->accept = (struct fault){.times = 3, .error = errors[i]};
        for (int j = 0; j < 4; j++)
            expect_service(&server);
        if (errors[i] == EMFILE)
            expect_said(&server, "cannot accept: Too many open files; clients wait\n");
        expect_a_new_acceptor(&server);
        assert_int_equal(server_stop(&server), 0);
        shared->ready = 0;
    }
}

/* It ends before it is ready, and says why in one line. */
static void expect_refusal(int (*start)(int queue, void *context), const char *why)
{
    struct server server = supervise(3, start);

    assert_true(wait_until(has_ended, &server));
    char *errors = server_errors(&server);
    assert_string_equal(errors, why);
    free(errors);
    assert_int_equal(server_wait(&server), 1);
    assert_int_equal(shared->ready, 0);
    memset(shared, 0, sizeof(*shared));
}

static void says_why_it_cannot_begin(void **state)
{
    (void)state;
    shared->calloc = (struct fault){.times = 1, .error = ENOMEM};
    expect_refusal(works, "queue: no queue: Cannot allocate memory\n");
    shared->calloc = (struct fault){.before = 1, .times = 1, .error = ENOMEM};
    expect_refusal(works, "queue: no workers: Cannot allocate memory\n");
    shared->socketpair = (struct fault){.times = 1, .error = EMFILE};
    expect_refusal(works, "queue: no queue: Too many open files\n");
    shared->fork = (struct fault){.before = 1, .times = 1, .error = EAGAIN};
    expect_refusal(works, "queue: cannot start worker 2 of 3: Resource temporarily unavailable\n");
    shared->fork = (struct fault){.before = 3, .times = 1, .error = EAGAIN};
    expect_refusal(works, "queue: cannot start the acceptor: Resource temporarily unavailable\n");
}

static void a_queue_that_cannot_be_set_up_leaves_nothing_open(void **state)
{
    int ends[2], opened = descriptors_of(getpid());

    (void)state;
    for (int i = 0; i < 2; i++) {
        shared->setsockopt = (struct fault){.before = i, .times = 1, .error = ENOBUFS};
        assert_int_equal(queue_open(ends, 16), -1);
        assert_int_equal(errno, ENOBUFS);
        assert_int_equal(descriptors_of(getpid()), opened);
    }
}

static bool is_dead(void *pid)
{
    char state = process_state(*(pid_t *)pid);

    return state == 0 || state == 'Z';
}

static void tries_again_when_nobody_can_be_started(void **state)
{
    struct server server = serve_with(2, works);
    pid_t children[3];

    (void)state;
    assert_int_equal(children_of(server.pid, children, 3), 3);
    for (int i = 0; i < 3; i += 2) { /* a worker, and the acceptor, which came last */
        shared->fork = (struct fault){.times = 2, .error = EAGAIN};
        kill(children[i], SIGKILL);
        assert_true(
            wait_until(is_dead, &children[i])); /* until then it may take a connection along */
        expect_service(&server);
    }
    expect_said(&server, "; will try again\n");
    assert_int_equal(server_stop(&server), 0);
}

static void write_line(const char *line, void *context)
{
    (void)context;
    dprintf(STDERR_FILENO, "<%s>\n", line);
}

static void says_to_its_log_who_died_of_what(void **state)
{
    pid_t children[4];
    char line[80];

    (void)state;
    verbose = true;
    take_line = write_line;
    struct server server = serve_with(3, works);
    assert_int_equal(children_of(server.pid, children, 4), 4);
    kill(children[0], SIGUSR1);
    kill(children[3], SIGUSR2);
    assert_true(wait_until(is_dead, &children[0]) && wait_until(is_dead, &children[3]));
    shared->socketpair = (struct fault){.times = 1, .error = EMFILE};
    expect_a_new_acceptor(&server);
    int errors = dup(server.errors);
    assert_int_equal(server_stop(&server), 0);
    server.errors = errors;
    expect_said(&server, "<cannot replace the queue: Too many open files; will try again>\n");
    expect_said(&server, " goes into the queue>\n");
    snprintf(line, sizeof(line), "<worker %d died of signal %d (User defined signal 1)>\n",
             (int)children[0], SIGUSR1);
    expect_said(&server, line);
    snprintf(line, sizeof(line), "<acceptor %d died of signal %d (User defined signal 2)>\n",
             (int)children[3], SIGUSR2);
    expect_said(&server, line);
    close(errors);
}

static int crashes(int queue, void *context)
{
    (void)queue;
    (void)context;
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
    return 0;
}

static void ends_when_its_first_workers_crash(void **state)
{
    struct server server = supervise(1, crashes);

    (void)state;
    assert_true(wait_until(has_ended, &server));
    expect_said(&server, "(Segmentation fault) before it was idle\n");
    assert_int_equal(server_wait(&server), 1);
}

static int says_it_cannot(int queue, void *context)
{
    (void)context;
    queue_cannot_start(queue, ENOKEY);
    return 1;
}

static void ends_when_its_first_workers_cannot_start(void **state)
{
    (void)state;
    expect_refusal(says_it_cannot, "queue: a worker cannot start: Required key not available\n");
}

/* ---- workers that harm ---- */

/* The first one that begins shuts the queue down, in one direction or both; the others serve. */
static int how;
static int shuts_it_down(int queue, void *context)
{
    if (begin() != 1)
        return works(queue, context);
    report(queue);
    while (!__atomic_load_n(&shared->finish, __ATOMIC_SEQ_CST)) /* all have begun, and are known */
        poll(NULL, 0, 1);
    shutdown(queue, how);
    shared->finish = 0;
    __sync_add_and_fetch(&shared->harmful, 1);
    return 0;
}

static void replaces_a_queue_that_was_shut_down(void **state)
{
    static const int ways[] = {SHUT_RD, SHUT_WR, SHUT_RDWR};

    (void)state;
    for (int i = 0; i < 3; i++) {
        how = ways[i];
        memset(shared, 0, sizeof(*shared));
        struct server server = serve_with(3, shuts_it_down);
        pid_t children[4]; /* the acceptor is the last that was started */
        assert_int_equal(children_of(server.pid, children, 4), 4);
        __atomic_store_n(&shared->finish, 1, __ATOMIC_SEQ_CST);
        assert_true(wait_until(harm_is_done, NULL));
        int connection = connect_to(&server); /* in one case this is what finds it out */
        await_word(&server, "the queue was shut down; there is another one");
        close(connection);
        assert_true(wait_until(is_dead, &children[3])); /* and no client in its hands any more */
        struct load load = load_start(&server, 6, 60);
        assert_int_equal(load_finish(&load).ok, 60);
        int connections[3]; /* all three serve again */
        for (int j = 0; j < 3; j++) {
            connections[j] = connect_to(&server);
            exchange(connections[j], "here", 4);
        }
        for (int j = 0; j < 3; j++)
            close(connections[j]);
        assert_int_equal(server_stop(&server), 0);
    }
}

/* The first one sends back whatever it can, as fast as it can, after its report. */
static int floods(int queue, void *context)
{
    static char bytes[3000];
    int any = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (begin() != 1)
        return works(queue, context);
    report(queue);
    for (int i = 0;; i++) {
        shared->harmful = i;
        if (i % 3 == 0)
            send(queue, bytes, (size_t)(i % 3000), MSG_NOSIGNAL); /* an empty one, too */
        else if (i % 3 == 1)
            send(queue, "\xff", 1, MSG_NOSIGNAL);
        else
            write_fd(queue, bytes, 1 + (size_t)(i % 100), any);
    }
}

static bool has_flooded(void *unused)
{
    (void)unused;
    return shared->harmful > 5000;
}

static void serves_and_ends_while_a_worker_floods_it(void **state)
{
    struct server server = serve_with(3, floods);

    (void)state;
    assert_true(wait_until(has_flooded, NULL));
    int descriptors = descriptors_of(server.pid);
    struct load load = load_start(&server, 2, 200);
    assert_int_equal(load_finish(&load).ok, 200);
    assert_int_equal(descriptors_of(server.pid), descriptors); /* what it was sent it has not */
    assert_int_equal(server_stop(&server), 0);
}

/* The first one makes the shared end non-blocking, and stays. */
static int unblocks(int queue, void *context)
{
    if (begin() != 1)
        return works(queue, context);
    report(queue);
    fcntl(queue, F_SETFL, O_NONBLOCK);
    shared->harmful = 1;
    wait_for_the_end();
}

static bool sleeps(void *pid)
{
    return process_state(*(const pid_t *)pid) == 'S';
}

static void nobody_spins_on_a_queue_that_does_not_block(void **state)
{
    struct server server = serve_with(3, unblocks);

    (void)state;
    assert_true(wait_until(harm_is_done, NULL));
    for (int i = 0; i < 10; i++)
        expect_service(&server);
    pid_t processes[8];
    int count = children_of(server.pid, processes, 8);
    assert_int_equal(count, 4);     /* three workers, and the acceptor */
    for (int i = 0; i < count; i++) /* who spins never sleeps, however little time he is left */
        assert_true(wait_until(sleeps, &processes[i]));
    assert_int_equal(shared->deaths, 0);
    assert_int_equal(server_stop(&server), 0);
}

/* The first one reports nothing itself; who does that is no descendant of it any more. */
static int lets_a_stranger_report(int queue, void *context)
{
    if (begin() != 1)
        return works(queue, context);
    pid_t child = __real_fork();
    if (child == 0) {
        if (__real_fork() == 0) {
            while (shared->helper == 0) /* its parent has ended, and been reaped */
                poll(NULL, 0, 1);
            report(queue);
            shared->harmful = 1;
        }
        _exit(0);
    }
    waitpid(child, NULL, 0);
    shared->helper = child;
    while (shared->harmful == 0)
        poll(NULL, 0, 1);
    return 0;
}

static void who_is_no_worker_reports_for_nobody(void **state)
{
    struct server server = supervise(1, lets_a_stranger_report);

    (void)state;
    assert_true(wait_until(has_ended, &server));
    expect_said(&server, "ended with status 0 before it was idle");
    assert_int_equal(server_wait(&server), 1);
    assert_int_equal(shared->ready, 0);
}

/* A child of its own works in its place: a shell does that, or a sandbox. */
static int lets_a_child_work(int queue, void *context)
{
    pid_t child = __real_fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(works(queue, context));
    }
    waitpid(child, NULL, 0);
    return 0;
}

static void who_works_for_a_worker_reports_for_it(void **state)
{
    struct server server = serve_with(2, lets_a_child_work);

    (void)state;
    for (int i = 0; i < 4; i++)
        expect_service(&server);
    assert_int_equal(server_stop(&server), 0);
}

/* The first one asks for credentials, at the end that all share, and ends. */
static int asks_for_more(int queue, void *context)
{
    int on = 1;

    if (begin() != 1)
        return works(queue, context);
    report(queue);
    while (shared->ready == 0)
        poll(NULL, 0, 1);
    setsockopt(queue, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
    shared->harmful = 1;
    return 0;
}

static void serves_on_though_a_worker_asked_for_credentials(void **state)
{
    struct server server = serve_with(3, asks_for_more);
    int lost = 0;

    (void)state;
    assert_true(wait_until(harm_is_done, NULL));
    for (int i = 0; i < 20; i++)
        lost += !is_served(&server);
    assert_in_range(lost, 0, 2); /* those workers that slept already; their successors do better */
    assert_int_equal(server_stop(&server), 0);
}

static int hangs(int queue, void *context)
{
    if (begin() <= 2)
        return works(queue, context);
    (void)queue;
    wait_for_the_end();
}

static void a_successor_that_hangs_is_found(void **state)
{
    struct server server = serve_with(2, hangs);
    pid_t worker;

    (void)state;
    expect_service(&server);
    assert_true(children_of(server.pid, &worker, 1) >= 1);
    kill(worker, SIGKILL);
    await_word(&server, "has not reported for 2 seconds; will try again");
    expect_service(&server); /* the other one serves */
    assert_int_equal(server_stop(&server), 0);
}

int main(void)
{
#define with_shared(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_as_many_messages_as_it_is_long),
        cmocka_unit_test(opens_nothing_when_it_cannot),
        cmocka_unit_test(a_worker_reports_twice),
        cmocka_unit_test(a_worker_without_room_takes_nothing),
        cmocka_unit_test(a_worker_that_runs_out_of_room_loses_one_connection),
        cmocka_unit_test(a_message_without_a_connection_breaks_the_protocol),
        cmocka_unit_test(a_worker_waits_to_report_though_its_queue_does_not_block),
        with_shared(is_ready_once_and_tells_of_deaths),
        with_shared(drops_no_connection_that_cannot_be_put_in),
        with_shared(goes_on_when_accept_fails),
        with_shared(says_why_it_cannot_begin),
        with_shared(a_queue_that_cannot_be_set_up_leaves_nothing_open),
        with_shared(tries_again_when_nobody_can_be_started),
        with_shared(says_to_its_log_who_died_of_what),
        with_shared(ends_when_its_first_workers_crash),
        with_shared(ends_when_its_first_workers_cannot_start),
        with_shared(replaces_a_queue_that_was_shut_down),
        with_shared(serves_and_ends_while_a_worker_floods_it),
        with_shared(nobody_spins_on_a_queue_that_does_not_block),
        with_shared(who_is_no_worker_reports_for_nobody),
        with_shared(who_works_for_a_worker_reports_for_it),
        with_shared(serves_on_though_a_worker_asked_for_credentials),
        with_shared(a_successor_that_hangs_is_found),
    };

    return run_chosen(tests);
}
