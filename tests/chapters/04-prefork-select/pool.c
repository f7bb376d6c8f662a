/*
 * Unit test of chapters/04-prefork-select/pool.c: system calls that fail, and workers that break
 * the protocol. The pool runs in this process, its workers and a client in processes of their own.
 */
#include "support.h"

#include "echo.h"
#include "fdpass.h"
#include "listener.h"
#include "pool.h"
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- system calls that fail when asked to ---- */

/* Fails with `error` at the calls `from` to `to`, counted from 1. */
struct fault {
    int from, to, error, calls;
};

static struct fault fork_fault, socketpair_fault, accept_fault, select_fault, sendmsg_fault,
    read_fault, waitpid_fault, calloc_fault;
static int listener, stop[2], port, descriptors_before;
static bool high_descriptors, stop_when_sendmsg_fails;
static bool ran_short;               /* accept or sendmsg has failed since select was called */
static bool spun;                    /* and then select was not to wait, or to watch the listener */
static bool deaths_first;            /* select says only the first of the pool's descriptors */
static void (*after_select)(void);   /* called when select has looked and seen nothing */
static void (*when_it_sleeps)(void); /* called instead of nanosleep */

static bool fails(struct fault *fault)
{
    fault->calls++;
    if (fault->calls < fault->from || fault->calls > fault->to)
        return false;
    errno = fault->error;
    return true;
}

pid_t __real_fork(void);
pid_t __wrap_fork(void);
int __real_socketpair(int domain, int type, int protocol, int pair[2]);
int __wrap_socketpair(int domain, int type, int protocol, int pair[2]);
int __real_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);
int __real_select(int count, fd_set *read, fd_set *write, fd_set *except, struct timeval *timeout);
int __wrap_select(int count, fd_set *read, fd_set *write, fd_set *except, struct timeval *timeout);
ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);

pid_t __wrap_fork(void)
{
    return fails(&fork_fault) ? -1 : __real_fork();
}

int __wrap_socketpair(int domain, int type, int protocol, int pair[2])
{
    if (fails(&socketpair_fault) || __real_socketpair(domain, type, protocol, pair) == -1)
        return -1;
    if (high_descriptors) {
        int high = fcntl(pair[0], F_DUPFD_CLOEXEC, FD_SETSIZE);
        assert_true(high >= FD_SETSIZE);
        close(pair[0]);
        pair[0] = high;
    }
    return 0;
}

int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    if (!fails(&accept_fault))
        return __real_accept4(fd, address, length, flags);
    ran_short = accept_fault.error != ECONNABORTED;
    errno = accept_fault.error;
    return -1;
}

int __wrap_select(int count, fd_set *read, fd_set *write, fd_set *except, struct timeval *timeout)
{
    if (ran_short)
        spun = spun || FD_ISSET(listener, read) || !timeout ||
               (timeout->tv_sec == 0 && timeout->tv_usec == 0);
    ran_short = false;
    if (fails(&select_fault))
        return -1;
    int result = __real_select(count, read, write, except, timeout);
    if (result == 0 && after_select)
        after_select();
    if (result > 1 && deaths_first) { /* that of deaths was opened before the channels */
        bool seen = false;
        for (int fd = stop[1] + 1; fd < count; fd++) {
            if (seen)
                FD_CLR(fd, read);
            seen = seen || FD_ISSET(fd, read);
        }
    }
    return result;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (!fails(&sendmsg_fault))
        return __real_sendmsg(fd, message, flags);
    ran_short = sendmsg_fault.error != EPIPE && sendmsg_fault.error != ECONNRESET;
    if (stop_when_sendmsg_fails && write(stop[1], "!", 1) != 1)
        return -1;
    errno = sendmsg_fault.error;
    return -1;
}

int __real_nanosleep(const struct timespec *time, struct timespec *left);
int __wrap_nanosleep(const struct timespec *time, struct timespec *left);
int64_t __real_now_ms(void);
int64_t __wrap_now_ms(void);
ssize_t __real_read(int fd, void *bytes, size_t length);
ssize_t __wrap_read(int fd, void *bytes, size_t length);
pid_t __real_waitpid(pid_t pid, int *status, int options);
pid_t __wrap_waitpid(pid_t pid, int *status, int options);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

ssize_t __wrap_read(int fd, void *bytes, size_t length)
{
    return fails(&read_fault) ? -1 : __real_read(fd, bytes, length);
}

pid_t __wrap_waitpid(pid_t pid, int *status, int options)
{
    return fails(&waitpid_fault) ? -1 : __real_waitpid(pid, status, options);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails(&calloc_fault) ? NULL : __real_calloc(count, size);
}

/* ---- what the pool, its workers and its client share ---- */

static struct shared {
    int64_t clock_ahead; /* of the pool's clock */
    int lives;           /* how many workers have begun */
    int reported;        /* and how many of work_slowly have reported */
    int released;        /* those may report */
    pid_t pids[64];      /* of those that have begun, from 0 */
    pid_t helpers[64];   /* what they have started, and what must be ended */
    pid_t serving;       /* who has served last */
    int asked, finished; /* see finish_after_sigterm */
} * shared;

static int sleeps;

int __wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
    sleeps++;
    if (!when_it_sleeps)
        return __real_nanosleep(time, left);
    when_it_sleeps();
    return 0;
}

int64_t __wrap_now_ms(void)
{
    return __real_now_ms() + (shared ? shared->clock_ahead : 0);
}

static bool await(bool (*condition)(int), int value)
{
    for (int64_t end = __real_now_ms() + PATIENCE * 1000; __real_now_ms() < end;) {
        if (condition(value))
            return true;
        __real_nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return false;
}

static bool lives_are(int count)
{
    return __atomic_load_n(&shared->lives, __ATOMIC_SEQ_CST) >= count;
}

static bool reported_are(int count)
{
    return __atomic_load_n(&shared->reported, __ATOMIC_SEQ_CST) >= count;
}

static bool is_released(int unused)
{
    (void)unused;
    return __atomic_load_n(&shared->released, __ATOMIC_SEQ_CST);
}

static bool has_gone(int pid)
{
    char state = process_state(pid);

    return state == 0 || state == 'Z';
}

/* ---- a pool with a client ---- */

static pid_t client;
static int errors; /* what the pool says on stderr; the client looks at it, too */
static int (*client_main)(void);
static struct pool_config config;

/* What has been said so far. */
static char *said_so_far(void)
{
    static char said[4096];
    ssize_t length = pread(errors, said, sizeof(said) - 1, 0);

    said[length > 0 ? length : 0] = '\0';
    return said;
}

static int client_connect(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)port)};
    struct timeval patience = {.tv_sec = PATIENCE};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == -1)
        _exit(101);
    return fd;
}

static bool client_exchanges(int fd)
{
    char back[8] = "";

    return send(fd, "message", 7, MSG_NOSIGNAL) == 7 && recv(fd, back, 7, MSG_WAITALL) == 7 &&
           strcmp(back, "message") == 0;
}

/* Exchanges six messages, each on its own connection. Returns how many came back. */
static int client_takes_turns(void)
{
    int served = 0;

    for (int i = 0; i < 6; i++) {
        int fd = client_connect();
        served += client_exchanges(fd);
        close(fd);
    }
    return served;
}

/* Three connections at once: every worker is there, and each serves one. */
static bool client_meets_every_worker(void)
{
    int fds[3];
    bool served = true;

    for (int i = 0; i < 3; i++) {
        fds[i] = client_connect();
        served = client_exchanges(fds[i]) && served;
    }
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    return served;
}

/* Meets all three, again and again, until all of them have served it. Returns how many did not. */
static int client_counts_losses(void)
{
    int fds[3], lost = 0, last = 3;

    while (last > 0 && lost < 10) {
        last = 0;
        for (int i = 0; i < 3; i++) {
            fds[i] = client_connect();
            last += !client_exchanges(fds[i]);
        }
        for (int i = 0; i < 3; i++)
            close(fds[i]);
        lost += last;
    }
    return lost;
}

/* The client: a process that does something, and then stops the pool. */
static void run_client(void)
{
    client = __real_fork();
    assert_true(client != -1);
    if (client != 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_DFL);
    int served = client_main();
    if (write(stop[1], "!", 1) != 1)
        _exit(100);
    _exit(served);
}

static void ready(void *context)
{
    (void)context;
    run_client();
}

/* Counts a worker that begins. Returns the how manieth it is. */
static int begin(void)
{
    int life = __sync_add_and_fetch(&shared->lives, 1);

    if (life <= 64)
        shared->pids[life - 1] = getpid();
    return life;
}

static int serve(int connection)
{
    shared->serving = getpid();
    return echo(connection);
}

static int work(int channel, void *context)
{
    (void)context;
    return pool_work(channel, serve) == 0 ? 0 : 1;
}

static int set_up(void **state)
{
    char name[SOCKET_NAME_MAX];

    (void)state;
    fork_fault = socketpair_fault = accept_fault = select_fault = sendmsg_fault = read_fault =
        waitpid_fault = calloc_fault = (struct fault){0};
    high_descriptors = stop_when_sendmsg_fails = deaths_first = ran_short = spun = false;
    after_select = when_it_sleeps = NULL;
    sleeps = 0;
    client_main = client_takes_turns;
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    errors = memfd_create("errors", MFD_CLOEXEC);
    listener = listener_open("127.0.0.1", 0);
    port = atoi(strrchr(local_name(listener, name), ':') + 1);
    if (listener == -1 || pipe2(stop, O_CLOEXEC) == -1)
        return -1;
    config = (struct pool_config){
        .listener = listener, .stop = stop[0], .workers = 3, .ready = ready, .start = work};
    descriptors_before = descriptors_of(getpid());
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (client) { /* of a test that failed */
        kill(client, SIGKILL);
        waitpid(client, NULL, 0);
        client = 0;
    }
    for (int i = 0; i < 64; i++)
        if (shared->helpers[i])
            kill(shared->helpers[i], SIGKILL);
    close(listener);
    close(stop[0]);
    close(stop[1]);
    close(errors);
    munmap(shared, sizeof(*shared));
    shared = NULL;
    return 0;
}

/* Begins anew within a test. */
static void start_over(void **state)
{
    tear_down(state);
    set_up(state);
}

static int served_by_pool(void)
{
    int status;

    assert_int_equal(waitpid(client, &status, 0), client);
    client = 0;
    return WEXITSTATUS(status);
}

static bool only_the_client_is_left(void *unused)
{
    pid_t children[8];
    int count = children_of(getpid(), children, 8), others = 0;

    (void)unused;
    for (int i = 0; i < count && i < 8; i++) /* a second may be short for a SIGKILL */
        others += children[i] != client && waitpid(children[i], NULL, WNOHANG) == 0;
    return others == 0;
}

/* Runs a pool of 3; nothing is left of it, whatever it returns. */
static int run_pool(int (*start)(int, void *))
{
    int old = dup(STDERR_FILENO), policy = sched_getscheduler(0);

    config.start = start;
    assert_int_equal(ftruncate(errors, lseek(errors, 0, SEEK_SET)), 0);
    dup2(errors, STDERR_FILENO);
    int result = pool_run(&config);
    dup2(old, STDERR_FILENO);
    close(old);
    if (result == -1 && client) { /* nobody serves it any more */
        kill(client, SIGKILL);
        served_by_pool();
    }
    assert_int_equal(descriptors_of(getpid()), descriptors_before);
    assert_int_equal(sched_getscheduler(0), policy);
    assert_true(wait_until(only_the_client_is_left, NULL));
    return result;
}

/* One line with `why` has been said, and nothing else. */
static void expect_line(const char *why)
{
    char *said = said_so_far();

    if (!strstr(said, why) || strchr(said, '\n') != said + strlen(said) - 1)
        fail_msg("wanted one line with \"%s\", got \"%s\"", why, said);
}

static void expect_served(int (*start)(int, void *), int served)
{
    assert_int_equal(run_pool(start), 0);
    int count = served_by_pool();
    if (count != served)
        fail_msg("the client says %d instead of %d; the pool said \"%s\"", count, served,
                 said_so_far());
}

static void expect_all_served(int (*start)(int, void *))
{
    expect_served(start, 6);
    assert_string_equal(said_so_far(), "");
}

static void expect_failure(int (*start)(int, void *), const char *why)
{
    assert_int_equal(run_pool(start), -1);
    expect_line(why);
}

/* ---- system calls fail ---- */

static void serves_all(void **state)
{
    (void)state;
    expect_all_served(work);
}

static void a_client_that_went_before_accept_is_no_error(void **state)
{
    (void)state;
    accept_fault = (struct fault){1, 3, ECONNABORTED, 0};
    expect_all_served(work);
}

static const struct {
    int error;
    const char *said;
} accept_errors[] =
    {
        {EMFILE, "cannot accept: Too many open files; clients wait"},
        {ENFILE, "cannot accept: Too many open files in system; clients wait"},
        {ENOBUFS, "cannot accept: No buffer space available; clients wait"},
        {ENOMEM, "cannot accept: Cannot allocate memory; clients wait"},
        {EPERM, "cannot accept: Operation not permitted; clients wait"},
        {EINVAL, "cannot accept: Invalid argument: does the listener still listen?; clients wait"},
},
  hand_over_errors[] = {
      {ENOBUFS, "cannot hand a connection over: No buffer space available; clients wait"},
      {ENOMEM, "cannot hand a connection over: Cannot allocate memory; clients wait"},
      {ETOOMANYREFS, ": this user has too many on their way; clients wait"},
      {EACCES, "Permission denied: a security module forbids it; clients wait"},
};

/* It fails five times: half a second. That is said once. */
static void accept_is_tried_again_after_a_moment_when_it_fails(void **state)
{
    for (size_t i = 0; i < sizeof(accept_errors) / sizeof(*accept_errors); i++) {
        accept_fault = (struct fault){1, 5, accept_errors[i].error, 0};
        expect_served(work, 6);
        expect_line(accept_errors[i].said);
        assert_true(accept_fault.calls >= 11);
        assert_false(spun);
        start_over(state);
    }
}

static void a_connection_that_cannot_be_handed_over_yet_is_kept(void **state)
{
    for (size_t i = 0; i < sizeof(hand_over_errors) / sizeof(*hand_over_errors); i++) {
        sendmsg_fault = (struct fault){1, 5, hand_over_errors[i].error, 0};
        expect_served(work, 6);
        expect_line(hand_over_errors[i].said);
        assert_false(spun);
        start_over(state);
    }
}

/* In a moment in which several things run short, each of them is said, once. */
static void each_kind_of_shortage_is_said_once(void **state)
{
    (void)state;
    accept_fault = (struct fault){1, 3, EMFILE, 0};
    sendmsg_fault = (struct fault){1, 3, ENOBUFS, 0};
    expect_served(work, 6);
    assert_string_equal(
        said_so_far(),
        "pool: cannot accept: Too many open files; clients wait\n"
        "pool: cannot hand a connection over: No buffer space available; clients wait\n");
}

static void skip_a_minute(void)
{
    if (accept_fault.calls > 0) /* and no worker is just starting */
        shared->clock_ahead += 60000;
}

static void a_shortage_after_a_quiet_time_is_said_again(void **state)
{
    (void)state;
    after_select = skip_a_minute; /* between two of its trials */
    accept_fault = (struct fault){1, 3, EMFILE, 0};
    expect_served(work, 6);
    char *said = said_so_far();
    for (int i = 0; i < 3; i++) {
        assert_non_null(said);
        assert_memory_equal(said, "pool: cannot accept: ", 21);
        said = strchr(said, '\n') + 1;
    }
    assert_string_equal(said, "");
}

static void a_connection_for_a_worker_that_has_just_died_goes_to_the_next(void **state)
{
    static const int gone[] = {EPIPE, ECONNRESET, EAGAIN};

    for (int i = 0; i < 3; i++) {
        if (i > 0) {
            start_over(state);
        }
        sendmsg_fault = (struct fault){1, 2, gone[i], 0}; /* two of three; the third takes it */
        expect_all_served(work);
    }
}

static void a_connection_waits_when_every_worker_has_just_died(void **state)
{
    (void)state;
    sendmsg_fault = (struct fault){1, 3, EPIPE, 0};
    expect_all_served(work);
}

static void an_interrupted_select_is_no_error(void **state)
{
    (void)state;
    select_fault = (struct fault){2, 8, EINTR, 0};
    expect_all_served(work);
}

static void a_select_without_memory_is_tried_again_after_a_moment(void **state)
{
    (void)state;
    select_fault = (struct fault){2, 6, ENOMEM, 0};
    expect_served(work, 6);
    expect_line("select: Cannot allocate memory; clients wait");
    assert_int_equal(sleeps, 5);
    assert_true(select_fault.calls < 100);
}

static void a_select_that_fails_ends_the_pool(void **state)
{
    (void)state;
    select_fault = (struct fault){2, 1000, EBADF, 0};
    expect_failure(work, "select: Bad file descriptor");
}

static void an_interrupted_read_is_no_error(void **state)
{
    read_fault = (struct fault){1, 3, EINTR, 0};
    expect_all_served(work);
    start_over(state);
    read_fault = (struct fault){2, 4, EAGAIN, 0};
    expect_all_served(work);
}

static void a_pool_without_memory_says_so(void **state)
{
    (void)state;
    calloc_fault = (struct fault){1, 1, ENOMEM, 0};
    expect_failure(work, "pool: Cannot allocate memory");
}

static void a_connection_that_waits_when_the_pool_ends_is_closed(void **state)
{
    (void)state;
    sendmsg_fault = (struct fault){1, 1000000, ENOBUFS, 0};
    stop_when_sendmsg_fails = true;
    assert_int_equal(run_pool(work), 0); /* and run_pool counts descriptors */
    kill(client, SIGKILL);
    served_by_pool();
}

static void a_first_worker_that_cannot_be_forked_ends_the_pool(void **state)
{
    (void)state;
    fork_fault = (struct fault){3, 3, EAGAIN, 0};
    expect_failure(work, "cannot start worker 3 of 3: Resource temporarily unavailable");
}

static void a_first_channel_that_cannot_be_opened_ends_the_pool(void **state)
{
    (void)state;
    socketpair_fault = (struct fault){1, 1, EMFILE, 0};
    expect_failure(work, "cannot start worker 1 of 3: Too many open files");
}

static void a_channel_that_select_cannot_watch_ends_the_pool(void **state)
{
    struct rlimit before, limit;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    if (before.rlim_max <= FD_SETSIZE) {
        print_message("# this user may open no descriptor so high\n");
        return;
    }
    limit = (struct rlimit){.rlim_cur = FD_SETSIZE + 1, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    high_descriptors = true;
    expect_failure(work, "cannot start worker 1 of 3: Numerical result out of range");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* Dies at its first connection if it is one of the first three. */
static int work_or_die(int channel, void *context)
{
    (void)context;
    if (begin() > 3)
        return work(channel, context);
    char report = 0, byte;
    int connection;
    if (write(channel, &report, 1) != 1 || read_fd(channel, &byte, 1, &connection) != 1)
        return 2;
    return 1;
}

static void a_place_is_filled_later_when_fork_fails(void **state)
{
    (void)state;
    fork_fault = (struct fault){4, 6, EAGAIN, 0};
    client_main = client_counts_losses;
    expect_served(work_or_die, 3); /* the dead have lost one each, the others none */
    assert_true(fork_fault.calls >= 9);
}

/* ---- workers that break the protocol ---- */

/* Sends these bytes as its reports; then it behaves. Only the first three workers do this. */
static int misbehave(int channel, void *context, const char *bytes, size_t length)
{
    char byte;

    if (begin() > 3)
        return work(channel, context);
    if (write(channel, bytes, length) != (ssize_t)length)
        return 1;
    while (read(channel, &byte, 1) > 0) /* stays, until the master has had enough of it */
        continue;
    return 0;
}

static int report_twice(int channel, void *context)
{
    (void)context;
    return misbehave(channel, context, "\0\0", 2);
}

static int talk_without_end(int channel, void *context)
{
    (void)context;
    char bytes[64] = {0};

    return misbehave(channel, context, bytes, sizeof(bytes));
}

/* The first three have been named, and nothing else has been said. */
static void expect_the_first_three_named(void)
{
    char *said = said_so_far(), line[64];
    size_t length = 0;

    for (int i = 0; i < 3; i++) {
        snprintf(line, sizeof(line), "pool: worker %d breaks the protocol\n", (int)shared->pids[i]);
        assert_non_null(strstr(said, line));
        length += strlen(line);
    }
    assert_int_equal(strlen(said), length);
}

static void a_worker_that_breaks_the_protocol_while_idle_is_replaced(void **state)
{
    expect_served(report_twice, 6);
    expect_the_first_three_named();
    start_over(state);
    expect_served(talk_without_end, 6);
    expect_the_first_three_named();
}

static int report_twice_and_end(int channel, void *context)
{
    if (begin() > 3)
        return work(channel, context);
    return write(channel, "\0\0", 2) == 2 ? 0 : 1;
}

/* Its death may be seen before its reports: it is named even so. */
static void a_worker_that_breaks_the_protocol_and_ends_is_named(void **state)
{
    for (int i = 0; i < 20; i++) {
        deaths_first = i % 2 == 0;
        expect_served(report_twice_and_end, 6);
        expect_the_first_three_named();
        start_over(state);
    }
}

/* Answers a connection with nonsense on the channel. */
static int talk_when_busy(int channel, void *context)
{
    (void)context;
    if (begin() > 3)
        return work(channel, context);
    char report = 0, byte;
    int connection;
    if (write(channel, &report, 1) != 1 || read_fd(channel, &byte, 1, &connection) != 1 ||
        write(channel, "x", 1) != 1)
        return 1;
    while (read(channel, &byte, 1) > 0)
        continue;
    return 0;
}

static void a_worker_that_breaks_the_protocol_while_busy_loses_its_connection(void **state)
{
    (void)state;
    client_main = client_counts_losses;
    waitpid_fault = (struct fault){1, 2, EINTR, 0};
    expect_served(talk_when_busy, 3);
    expect_the_first_three_named();
}

/* Sends the master descriptors, which nobody asked for. */
static int send_descriptors(int channel, void *context)
{
    (void)context;
    if (begin() > 3)
        return work(channel, context);
    char byte;
    int connection;
    if (write_fd(channel, "\0", 1, STDERR_FILENO) == -1)
        return 1;
    while (read_fd(channel, &byte, 1, &connection) > 0) {
        echo(connection);
        close(connection);
        if (write_fd(channel, "\0", 1, STDERR_FILENO) == -1)
            return 1;
    }
    return 0;
}

static void descriptors_that_a_worker_sends_do_not_leak_into_the_master(void **state)
{
    (void)state;
    expect_all_served(send_descriptors); /* run_pool counts them */
}

static int report_an_error(int channel, void *context)
{
    (void)context;
    pool_cannot_start(channel, ENOEXEC);
    return 1;
}

static void what_a_worker_reports_as_its_error_is_said(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) { /* its status is never taken for the reason */
        deaths_first = i % 2 == 0;
        expect_failure(report_an_error, "a worker cannot start: Exec format error");
    }
}

static int error_to_report;

static int report_that_error(int channel, void *context)
{
    (void)context;
    pool_cannot_start(channel, error_to_report);
    return 0;
}

static void an_error_that_is_none_is_never_taken_for_idle(void **state)
{
    static const int errors_reported[] = {0, 256, -1, 512, 255, 1 << 20, ENOENT, 1, 254};
    char said[128];
    int channel[2];

    (void)state;
    for (size_t i = 0; i < sizeof(errors_reported) / sizeof(*errors_reported); i++) {
        unsigned char report = 0;
        int error = errors_reported[i], told = error > 0 && error < 255 ? error : 255;

        error_to_report = error;
        snprintf(said, sizeof(said), "a worker cannot start: %s\n", strerror(told));
        expect_failure(report_that_error, said);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel), 0);
        pool_cannot_start(channel[1], error);
        assert_int_equal(read(channel[0], &report, 1), 1);
        assert_int_equal(report, told);
        close(channel[0]);
        pool_cannot_start(channel[1], error); /* nobody hears it; and no SIGPIPE */
        close(channel[1]);
    }
}

static int end_at_once(int channel, void *context)
{
    (void)context;
    (void)channel;
    return 7;
}

static void a_worker_that_ends_at_once_ends_the_pool(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) { /* its end-of-file, or its death, may be seen first */
        deaths_first = i % 2 == 0;
        expect_failure(end_at_once, "ended with status 7 before it was idle");
    }
}

static int crash_at_once(int channel, void *context)
{
    (void)context;
    (void)channel;
    signal(SIGABRT, SIG_DFL);
    abort();
}

static void a_worker_that_crashes_at_once_ends_the_pool(void **state)
{
    (void)state;
    expect_failure(crash_at_once, "died of signal 6");
}

static int be_killed_at_once(int channel, void *context)
{
    (void)context;
    if (begin() <= 3)
        raise(SIGKILL);
    return work(channel, context);
}

static void a_worker_that_somebody_kills_before_it_is_idle_is_replaced(void **state)
{
    (void)state;
    expect_all_served(be_killed_at_once);
}

static int ignore_sigterm(int channel, void *context)
{
    (void)context;
    signal(SIGTERM, SIG_IGN);
    work(channel, context);
    while (pause() == -1) /* not even end-of-file moves it */
        continue;
    return 0;
}

static void a_worker_that_ignores_sigterm_is_ended(void **state)
{
    (void)state;
    expect_all_served(ignore_sigterm);
}

/* ---- workers that are lost while others serve ---- */

/* Kills the worker that serves this client. Returns false when it was not served. */
static bool client_kills_its_worker(void)
{
    int fd = client_connect();
    bool served = client_exchanges(fd);

    kill(shared->serving, SIGKILL);
    close(fd);
    return served;
}

/* A worker dies; then whoever comes after it may fare worse, and at last one is good again. */
static int client_loses_one(void)
{
    if (!client_kills_its_worker())
        return 1;
    for (int i = 0; i < 6; i++) { /* the others serve on */
        int fd = client_connect();
        if (!client_exchanges(fd))
            return 2;
        close(fd);
    }
    if (!await(lives_are, 6))
        return 3;
    return client_meets_every_worker() ? 6 : 4;
}

static int report_error_later(int channel, void *context)
{
    int life = begin();

    if (life != 4 && life != 5)
        return work(channel, context);
    pool_cannot_start(channel, ENOENT); /* the program is being replaced, for example */
    return 1;
}

static int exit_127_later(int channel, void *context)
{
    int life = begin();

    return life == 4 || life == 5 ? 127 : work(channel, context);
}

static int crash_later(int channel, void *context)
{
    int life = begin();

    return life == 4 || life == 5 ? crash_at_once(channel, context) : work(channel, context);
}

static void a_worker_that_cannot_start_later_does_not_end_the_pool(void **state)
{
    for (int i = 0; i < 2; i++) {
        deaths_first = i == 1;
        client_main = client_loses_one;
        expect_served(report_error_later, 6);
        expect_line("a worker cannot start: No such file or directory; will try again");
        start_over(state);
        deaths_first = i == 1;
        client_main = client_loses_one;
        expect_served(exit_127_later, 6);
        expect_line("ended with status 127 before it was idle; will try again");
        start_over(state);
    }
    client_main = client_loses_one;
    expect_served(crash_later, 6);
    expect_line("died of signal 6 (Aborted) before it was idle; will try again");
}

/* A shortage is the pool's, and said once; what a worker then dies of is another matter. */
static void expect_said_once(const char *what)
{
    char *said = said_so_far(), *first = strstr(said, what);

    assert_non_null(first);
    assert_null(strstr(first + 1, what));
}

static void a_worker_that_cannot_be_forked_later_does_not_end_the_pool(void **state)
{
    client_main = client_loses_one;
    fork_fault = (struct fault){4, 5, EAGAIN, 0};
    expect_served(crash_later, 6);
    expect_said_once("cannot start a worker: Resource temporarily unavailable; will try again\n");
    start_over(state);

    client_main = client_loses_one;
    socketpair_fault = (struct fault){4, 6, EMFILE, 0};
    expect_served(crash_later, 6);
    expect_said_once("cannot start a worker: Too many open files; will try again\n");
}

/* Once one has started, a new failure is news. */
static int client_loses_two(void)
{
    int result = client_loses_one();

    if (result != 6 || !client_kills_its_worker())
        return result;
    if (!await(lives_are, 8))
        return 5;
    return client_meets_every_worker() ? 6 : 7;
}

static int exit_127_twice(int channel, void *context)
{
    int life = begin();

    return life == 4 || life == 5 || life == 7 ? 127 : work(channel, context);
}

static void what_happens_again_after_one_could_start_is_said_again(void **state)
{
    (void)state;
    client_main = client_loses_two;
    expect_served(exit_127_twice, 6);
    char *said = said_so_far();
    int lines = 0;
    for (char *line = said; (line = strstr(line, "status 127 before it was idle; will try"));
         line++)
        lines++;
    /* The second loss may be in the place of the first, or in another; it is said in both. */
    assert_int_equal(lines, 2);
}

/* ---- workers that hang at their start ---- */

/* The two that are left serve on. */
static bool client_meets_two(void)
{
    int fds[2] = {client_connect(), client_connect()};
    bool served = client_exchanges(fds[0]) && client_exchanges(fds[1]);

    close(fds[0]);
    close(fds[1]);
    return served;
}

/* Lets the pool's clock run, an hour at a time, until it has said so. */
static bool client_lets_time_pass(void)
{
    for (int64_t end = __real_now_ms() + PATIENCE * 1000; __real_now_ms() < end;) {
        if (strstr(said_so_far(), "has not reported"))
            return true;
        shared->clock_ahead += 3600 * 1000 + 1;
        __real_nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    return false;
}

static int client_waits_for_the_deadline(void)
{
    if (!client_kills_its_worker())
        return 1;
    if (!await(lives_are, 4) || !client_meets_two())
        return 2;
    if (!client_lets_time_pass())
        return 3;
    return await(lives_are, 5) && client_meets_every_worker() ? 6 : 4;
}

static int hang_later(int channel, void *context)
{
    if (begin() != 4)
        return work(channel, context);
    while (pause() == -1)
        continue;
    return 0;
}

static int close_the_channel_and_hang_later(int channel, void *context)
{
    if (begin() != 4)
        return work(channel, context);
    close(channel);
    while (pause() == -1)
        continue;
    return 0;
}

static void a_replacement_that_hangs_at_its_start_is_found(void **state)
{
    int (*const starts[])(int, void *) = {hang_later, close_the_channel_and_hang_later};

    for (int i = 0; i < 2; i++) {
        config.start_ms = 3600 * 1000;
        client_main = client_waits_for_the_deadline;
        expect_served(starts[i], 6);
        expect_line("has not reported for 3600 seconds; will try again");
        start_over(state);
    }
}

static int hang(int channel, void *context)
{
    (void)channel;
    (void)context;
    begin();
    while (pause() == -1)
        continue;
    return 0;
}

static void skip_the_deadline(void)
{
    if (lives_are(3))
        shared->clock_ahead += 3600 * 1000 + 1;
}

static void workers_that_hang_at_the_start_end_the_pool(void **state)
{
    (void)state;
    config.start_ms = 3600 * 1000;
    after_select = skip_the_deadline;
    expect_failure(hang, "has not reported for 3600 seconds");
    start_over(state);
    config.start_ms = 1500;
    after_select = skip_the_deadline;
    expect_failure(hang, "has not reported for 1.5 seconds");
    start_over(state);
    after_select = skip_the_deadline; /* unless it is configured */
    expect_failure(hang, "has not reported for 10 seconds");
}

/* A worker that reports once it may. */
static int work_slowly(int channel, void *context)
{
    char byte;
    int connection;

    (void)context;
    begin();
    if (!await(is_released, 0) || send(channel, "\0", 1, MSG_NOSIGNAL) != 1)
        return 1;
    __sync_add_and_fetch(&shared->reported, 1);
    while (read_fd(channel, &byte, 1, &connection) > 0) {
        echo(connection);
        close(connection);
        if (send(channel, "\0", 1, MSG_NOSIGNAL) != 1)
            return 1;
    }
    return 0;
}

/* The master does nothing for an hour, while all workers report. */
static void let_the_workers_report(void)
{
    if (shared->released)
        return;
    assert_true(await(lives_are, 3));
    shared->released = 1;
    assert_true(await(reported_are, 3));
    shared->clock_ahead += 3600 * 1000;
}

static void who_reports_while_the_master_cannot_look_is_not_late(void **state)
{
    after_select = let_the_workers_report; /* it has looked, and is stopped now */
    expect_all_served(work_slowly);
    start_over(state);
    when_it_sleeps = let_the_workers_report; /* it could not look, for want of memory */
    select_fault = (struct fault){1, 3, ENOMEM, 0};
    expect_served(work_slowly, 6); /* else a worker would have ended the pool */
}

/* Stops the pool's process, lets the workers report, and the time pass; then it may go on. */
static int stop_the_master(pid_t master)
{
    if (!await(lives_are, 3) || kill(master, SIGSTOP) == -1)
        return 1;
    for (int64_t end = __real_now_ms() + PATIENCE * 1000; process_state(master) != 'T';)
        if (__real_now_ms() > end)
            return 2;
    shared->released = 1;
    if (!await(reported_are, 3))
        return 3;
    shared->clock_ahead += 3600 * 1000;
    return kill(master, SIGCONT) == 0 ? 0 : 4;
}

/* The pool runs in a process of its own: a shell would notice that this one is stopped. */
static void a_master_that_was_stopped_does_not_blame_its_workers(void **state)
{
    for (int i = 0; i < 10; i++) {
        int status;
        pid_t master = fork_child();
        assert_true(master != -1);
        if (master == 0) {
            config.start = work_slowly;
            dup2(errors, STDERR_FILENO);
            if (pool_run(&config) == -1)
                _exit(99);
            _exit(served_by_pool());
        }
        assert_int_equal(stop_the_master(master), 0);
        assert_int_equal(waitpid(master, &status, 0), master);
        assert_int_equal(WEXITSTATUS(status), 6);
        assert_string_equal(said_so_far(), "");
        start_over(state);
    }
}

/* ---- workers that live on, or seem to ---- */

/* Starts a process that keeps copies of all descriptors, as any library may: no exec. */
static void start_helper(int number)
{
    pid_t helper = __real_fork();

    if (helper == 0) {
        alarm(120); /* it outlives its parent, but not the test by much */
        for (;;)
            pause();
    }
    shared->helpers[number] = helper;
}

static int work_with_a_helper(int channel, void *context)
{
    int life = begin();

    if (life <= 3)
        start_helper(life - 1);
    return work(channel, context);
}

static int client_kills_an_idle_worker(void)
{
    kill(shared->pids[0], SIGKILL);
    return await(lives_are, 4) && client_meets_every_worker() ? 6 : 1;
}

static int client_kills_a_busy_worker(void)
{
    return client_kills_its_worker() && await(lives_are, 4) && client_meets_every_worker() ? 6 : 1;
}

static void a_worker_whose_channel_is_held_by_a_helper_is_replaced_when_it_dies(void **state)
{
    client_main = client_kills_an_idle_worker;
    expect_all_served(work_with_a_helper);
    start_over(state);
    client_main = client_kills_a_busy_worker;
    expect_all_served(work_with_a_helper);
}

/* The fourth puts itself into the background, as daemons do: its process ends, its child works. */
static int daemonise_later(int channel, void *context)
{
    if (begin() != 4)
        return work(channel, context);
    pid_t daemon = __real_fork();
    if (daemon != 0) {
        shared->helpers[0] = daemon;
        return 0;
    }
    alarm(120);
    return work(channel, context);
}

static int client_meets_a_daemon(void)
{
    if (!client_kills_its_worker() || !await(lives_are, 5) || !client_meets_every_worker())
        return 1;
    return await(has_gone, shared->helpers[0]) ? 6 : 2;
}

static void a_worker_that_daemonises_itself_is_replaced(void **state)
{
    for (int i = 0; i < 10; i++) {
        deaths_first = i % 2 == 0;
        client_main = client_meets_a_daemon;
        expect_served(daemonise_later, 6);
        if (*said_so_far() != '\0') /* nothing, if the daemon was the first to report */
            expect_line("ended with status 0 before it was idle; will try again");
        start_over(state);
    }
}

/* The first three close their channels when they are idle, and stay. */
static int close_the_channel(int channel, void *context)
{
    if (begin() > 3)
        return work(channel, context);
    if (send(channel, "\0", 1, MSG_NOSIGNAL) != 1)
        return 1;
    close(channel);
    __sync_add_and_fetch(&shared->reported, 1);
    while (pause() == -1)
        continue;
    return 0;
}

/* Before, one of them may be sent a connection, and lose it. */
static int client_comes_when_three_have_closed(void)
{
    return await(reported_are, 3) ? client_takes_turns() : 1;
}

static void a_worker_that_closes_its_channel_and_lives_on_is_replaced(void **state)
{
    (void)state;
    client_main = client_comes_when_three_have_closed;
    expect_all_served(close_the_channel);
}

/* The first takes a connection, and then closes its channel. */
static int close_the_channel_when_busy(int channel, void *context)
{
    int connection;
    char byte;

    if (begin() != 1)
        return work(channel, context);
    if (send(channel, "\0", 1, MSG_NOSIGNAL) != 1 || read_fd(channel, &byte, 1, &connection) != 1)
        return 1;
    close(channel);
    while (pause() == -1)
        continue;
    return 0;
}

/* Meets all three, of which one does not answer, and then all three again. */
static int client_loses_one_of_three(void)
{
    int fds[3], lost = 0;

    for (int i = 0; i < 3; i++) {
        fds[i] = client_connect();
        lost += !client_exchanges(fds[i]);
    }
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    return lost == 1 && client_meets_every_worker() ? 6 : lost;
}

static void a_worker_that_closes_its_channel_while_it_serves_is_replaced(void **state)
{
    (void)state;
    client_main = client_loses_one_of_three;
    expect_all_served(close_the_channel_when_busy);
}

/* ---- what the configuration says ---- */

static struct {
    char lines[4096];
    int deaths;
    pid_t worker[8];
    int status[8];
    long count[8];
    bool wrong_context;
} told;

static void take_line(const char *line, void *context)
{
    told.wrong_context = told.wrong_context || context != &told;
    strcat(strcat(told.lines, line), "\n");
}

static void take_death(pid_t worker, int status, long deaths, void *context)
{
    told.wrong_context = told.wrong_context || context != &told;
    if (told.deaths < 8) {
        told.worker[told.deaths] = worker;
        told.status[told.deaths] = status;
        told.count[told.deaths] = deaths;
    }
    told.deaths++;
}

static void ready_with_context(void *context)
{
    told.wrong_context = told.wrong_context || context != &told;
    run_client();
}

static int work_with_context(int channel, void *context)
{
    if (context != &told)
        return 9;
    int life = begin();
    if (life == 4)
        return 42;
    return work(channel, context);
}

static void configure_all(bool verbose)
{
    memset(&told, 0, sizeof(told));
    config.context = &told;
    config.log = take_line;
    config.died = take_death;
    config.ready = ready_with_context;
    config.verbose = verbose;
}

static int client_loses_one_and_another(void)
{
    return client_kills_its_worker() && await(lives_are, 5) && client_meets_every_worker() ? 6 : 1;
}

static void each_death_is_told_with_its_status_and_the_count(void **state)
{
    (void)state;
    configure_all(false);
    client_main = client_loses_one_and_another;
    expect_served(work_with_context, 6);
    assert_string_equal(said_so_far(), ""); /* all went to `log` */
    assert_non_null(
        strstr(told.lines, "ended with status 42 before it was idle; will try again\n"));
    assert_int_equal(told.deaths, 2); /* those at the end are not told */
    assert_true(WIFSIGNALED(told.status[0]));
    assert_int_equal(WTERMSIG(told.status[0]), SIGKILL);
    assert_int_equal(told.count[0], 1);
    assert_int_equal(told.worker[1], shared->pids[3]);
    assert_true(WIFEXITED(told.status[1]));
    assert_int_equal(WEXITSTATUS(told.status[1]), 42);
    assert_int_equal(told.count[1], 2);
    assert_false(told.wrong_context);
}

static void a_pool_that_is_verbose_says_each_hand_over_and_each_death(void **state)
{
    char line[64];

    (void)state;
    configure_all(true);
    client_main = client_kills_a_busy_worker;
    expect_served(work_with_context, 6);
    assert_string_equal(said_so_far(), "");
    snprintf(line, sizeof(line), "worker %d died of signal 9 (Killed)\n", (int)told.worker[0]);
    assert_non_null(strstr(told.lines, line));
    snprintf(line, sizeof(line), " goes to worker %d\n", (int)told.worker[0]);
    assert_non_null(strstr(told.lines, line));
    int hand_overs = 0;
    for (char *next = told.lines; (next = strstr(next, "descriptor ")); next++)
        hand_overs++;
    assert_int_equal(hand_overs, 4);
    snprintf(line, sizeof(line), "worker %d ended with status 42\n", (int)shared->pids[3]);
    assert_non_null(strstr(told.lines, line));
    assert_false(told.wrong_context);
}

static void what_ends_the_pool_goes_to_its_log_too(void **state)
{
    configure_all(false);
    assert_int_equal(run_pool(end_at_once), -1);
    assert_non_null(strstr(told.lines, "ended with status 7 before it was idle\n"));
    assert_string_equal(said_so_far(), "");
    start_over(state);
    configure_all(false);
    calloc_fault = (struct fault){1, 1, ENOMEM, 0};
    assert_int_equal(run_pool(work), -1);
    assert_string_equal(told.lines, "pool: Cannot allocate memory\n");
    start_over(state);
    configure_all(false);
    calloc_fault = (struct fault){2, 2, ENOMEM, 0};
    assert_int_equal(run_pool(work), -1);
    assert_string_equal(told.lines, "no workers: Cannot allocate memory\n");
    assert_string_equal(said_so_far(), "");
}

static void a_pool_need_not_say_that_it_is_ready(void **state)
{
    (void)state;
    config.ready = NULL;
    run_client(); /* it waits in the backlog */
    expect_served(work, 6);
}

/* Busy at the end, a worker has something to finish after its SIGTERM. */
static void note_sigterm(int signal_number)
{
    (void)signal_number;
    shared->asked = 1;
}

static int finish_after_sigterm(int channel, void *context)
{
    int connection;
    char byte;

    (void)context;
    begin();
    signal(SIGTERM, note_sigterm);
    if (send(channel, "\0", 1, MSG_NOSIGNAL) != 1 ||
        read_fd(channel, &byte, 1, &connection) != 1) /* idle ones read end-of-file */
        return 0;
    if (read(connection, &byte, 1) != 1 || write(connection, &byte, 1) != 1)
        return 1;
    while (!shared->asked)
        __real_nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    for (int i = 0; i < 70; i++) /* longer than the grace that is usual */
        __real_nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    shared->finished = 1;
    return 0;
}

static int client_keeps_a_worker_busy(void)
{
    char byte;
    int fd = client_connect();

    return send(fd, "!", 1, MSG_NOSIGNAL) == 1 && recv(fd, &byte, 1, 0) == 1 ? 6 : 1;
}

static void the_grace_at_the_end_is_as_configured(void **state)
{
    client_main = client_keeps_a_worker_busy;
    config.grace_ms = 60000;
    expect_all_served(finish_after_sigterm);
    assert_int_equal(shared->asked, 1);
    assert_int_equal(shared->finished, 1);
    start_over(state);
    config.grace_ms = 1;
    expect_all_served(ignore_sigterm);
}

static void a_pool_whose_children_would_be_another_s_says_so(void **state)
{
    int status;
    pid_t child = __real_fork();

    (void)state;
    assert_true(child != -1);
    if (child == 0) {
        if (unshare(CLONE_NEWPID) == -1 && unshare(CLONE_NEWUSER | CLONE_NEWPID) == -1)
            _exit(77);
        dup2(errors, STDERR_FILENO);
        _exit(pool_run(&config) == -1 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WEXITSTATUS(status) == 77) {
        print_message("# skipped: this process may make no PID namespace\n");
        return;
    }
    assert_int_equal(status, 0);
    expect_line("children would be in another PID namespace");
}

/* ---- whoever should read stderr does not ---- */

/* Runs a verbose pool whose stderr is this. */
static void expect_service_with_stderr(int fd)
{
    int old = dup(STDERR_FILENO);

    config.verbose = true;
    config.start = work;
    dup2(fd, STDERR_FILENO);
    int result = pool_run(&config);
    dup2(old, STDERR_FILENO);
    close(old);
    assert_int_equal(result, 0);
    assert_int_equal(served_by_pool(), 6);
}

static void a_stderr_that_is_full_holds_nobody_up(void **state)
{
    static const char bytes[4096];
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_true(fcntl(ends[1], F_SETPIPE_SZ, 4096) >= 4096);
    assert_int_equal(write(ends[1], bytes, sizeof(bytes)), sizeof(bytes));
    expect_service_with_stderr(ends[1]);
    close(ends[0]);
    close(ends[1]);
}

static void a_stderr_that_nobody_reads_any_more_ends_nothing(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    close(ends[0]);
    signal(SIGPIPE, SIG_DFL);
    expect_service_with_stderr(ends[1]);
    close(ends[1]);
}

/* ---- what a worker inherits ---- */

/* Ends with an error unless it has as many descriptors as any worker may have. */
static int count_descriptors(int channel, void *context)
{
    (void)context;
    /* What the test had before the pool, less the listener and one end of `stop`; the channel. */
    if (descriptors_of(getpid()) != descriptors_before - 2 + 1 + 1) {
        pool_cannot_start(channel, EMFILE);
        return 1;
    }
    return work(channel, context);
}

static void no_worker_inherits_the_channels_of_the_others(void **state)
{
    (void)state;
    expect_all_served(count_descriptors); /* the second 1 is run_pool's own */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(start_over),
        TEST(serves_all),
        TEST(a_client_that_went_before_accept_is_no_error),
        TEST(accept_is_tried_again_after_a_moment_when_it_fails),
        TEST(a_connection_that_cannot_be_handed_over_yet_is_kept),
        TEST(each_kind_of_shortage_is_said_once),
        TEST(a_shortage_after_a_quiet_time_is_said_again),
        TEST(a_connection_for_a_worker_that_has_just_died_goes_to_the_next),
        TEST(a_connection_waits_when_every_worker_has_just_died),
        TEST(an_interrupted_select_is_no_error),
        TEST(a_select_without_memory_is_tried_again_after_a_moment),
        TEST(a_select_that_fails_ends_the_pool),
        TEST(an_interrupted_read_is_no_error),
        TEST(a_pool_without_memory_says_so),
        TEST(a_connection_that_waits_when_the_pool_ends_is_closed),
        TEST(a_first_worker_that_cannot_be_forked_ends_the_pool),
        TEST(a_first_channel_that_cannot_be_opened_ends_the_pool),
        TEST(a_channel_that_select_cannot_watch_ends_the_pool),
        TEST(a_place_is_filled_later_when_fork_fails),
        TEST(a_worker_that_breaks_the_protocol_while_idle_is_replaced),
        TEST(a_worker_that_breaks_the_protocol_and_ends_is_named),
        TEST(a_worker_that_breaks_the_protocol_while_busy_loses_its_connection),
        TEST(descriptors_that_a_worker_sends_do_not_leak_into_the_master),
        TEST(what_a_worker_reports_as_its_error_is_said),
        TEST(an_error_that_is_none_is_never_taken_for_idle),
        TEST(a_worker_that_ends_at_once_ends_the_pool),
        TEST(a_worker_that_crashes_at_once_ends_the_pool),
        TEST(a_worker_that_somebody_kills_before_it_is_idle_is_replaced),
        TEST(a_worker_that_ignores_sigterm_is_ended),
        TEST(a_worker_that_cannot_start_later_does_not_end_the_pool),
        TEST(a_worker_that_cannot_be_forked_later_does_not_end_the_pool),
        TEST(what_happens_again_after_one_could_start_is_said_again),
        TEST(a_replacement_that_hangs_at_its_start_is_found),
        TEST(workers_that_hang_at_the_start_end_the_pool),
        TEST(who_reports_while_the_master_cannot_look_is_not_late),
        TEST(a_master_that_was_stopped_does_not_blame_its_workers),
        TEST(a_worker_whose_channel_is_held_by_a_helper_is_replaced_when_it_dies),
        TEST(a_worker_that_daemonises_itself_is_replaced),
        TEST(a_worker_that_closes_its_channel_and_lives_on_is_replaced),
        TEST(a_worker_that_closes_its_channel_while_it_serves_is_replaced),
        TEST(each_death_is_told_with_its_status_and_the_count),
        TEST(a_pool_that_is_verbose_says_each_hand_over_and_each_death),
        TEST(what_ends_the_pool_goes_to_its_log_too),
        TEST(a_pool_need_not_say_that_it_is_ready),
        TEST(the_grace_at_the_end_is_as_configured),
        TEST(a_pool_whose_children_would_be_another_s_says_so),
        TEST(a_stderr_that_is_full_holds_nobody_up),
        TEST(a_stderr_that_nobody_reads_any_more_ends_nothing),
        TEST(no_worker_inherits_the_channels_of_the_others),
    };

    return run_chosen(tests);
}
