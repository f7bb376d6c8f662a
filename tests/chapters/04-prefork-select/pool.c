/*
 * Unit test of chapters/04-prefork-select/pool.c: system calls that fail, and workers that break
 * the protocol. The pool runs in this process, its workers and a client in processes of their own.
 */
#include "support.h"

#include "echo.h"
#include "fdpass.h"
#include "listener.h"
#include "pool.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- system calls that fail when asked to ---- */

/* Fails with `error` at the calls `from` to `to`, counted from 1. */
struct fault {
    int from, to, error, calls;
};

static struct fault fork_fault, socketpair_fault, accept_fault, select_fault, sendmsg_fault,
    read_fault, waitpid_fault, calloc_fault;
static bool high_descriptors, stop_when_sendmsg_fails;

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
    return fails(&accept_fault) ? -1 : __real_accept4(fd, address, length, flags);
}

int __wrap_select(int count, fd_set *read, fd_set *write, fd_set *except, struct timeval *timeout)
{
    return fails(&select_fault) ? -1 : __real_select(count, read, write, except, timeout);
}

static int listener, stop[2], port, descriptors_before;

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (!fails(&sendmsg_fault))
        return __real_sendmsg(fd, message, flags);
    if (stop_when_sendmsg_fails && write(stop[1], "!", 1) != 1)
        return -1;
    errno = sendmsg_fault.error;
    return -1;
}

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

/* ---- a pool with a client ---- */

static pid_t client;
static int *shared_lives; /* how many workers have begun, in memory that all of them share */

/* The client: exchanges a few messages, each on its own connection, and then stops the pool. */
static void run_client(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)port)};
    int served = 0;

    client = __real_fork();
    assert_true(client != -1);
    if (client != 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int i = 0; i < 6; i++) {
        char back[8] = "";
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
            send(fd, "message", 7, MSG_NOSIGNAL) == 7 && recv(fd, back, 7, MSG_WAITALL) == 7 &&
            strcmp(back, "message") == 0)
            served++;
        close(fd);
    }
    if (write(stop[1], "!", 1) != 1)
        _exit(100);
    _exit(served);
}

static void ready(void *context)
{
    (void)context;
    run_client();
}

static int work(int channel, void *context)
{
    (void)context;
    return pool_work(channel, echo) == 0 ? 0 : 1;
}

static int set_up(void **state)
{
    char name[SOCKET_NAME_MAX];

    (void)state;
    fork_fault = socketpair_fault = accept_fault = select_fault = sendmsg_fault = read_fault =
        waitpid_fault = calloc_fault = (struct fault){0};
    high_descriptors = stop_when_sendmsg_fails = false;
    shared_lives =
        mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    listener = listener_open("127.0.0.1", 0);
    port = atoi(strrchr(local_name(listener, name), ':') + 1);
    if (listener == -1 || pipe2(stop, O_CLOEXEC) == -1)
        return -1;
    descriptors_before = descriptors_of(getpid());
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(listener);
    close(stop[0]);
    close(stop[1]);
    munmap(shared_lives, sizeof(int));
    return 0;
}

static int served_by_pool(void)
{
    int status;

    assert_int_equal(waitpid(client, &status, 0), client);
    client = 0;
    return WEXITSTATUS(status);
}

/* Runs a pool of 3; nothing is left of it, whatever it returns. Gives what it said on stderr. */
static int run_pool(int (*start)(int, void *), char said[512])
{
    const struct pool_config config = {
        .listener = listener, .stop = stop[0], .workers = 3, .ready = ready, .start = start};
    int errors = memfd_create("errors", MFD_CLOEXEC), old = dup(STDERR_FILENO);

    dup2(errors, STDERR_FILENO);
    int result = pool_run(&config);
    dup2(old, STDERR_FILENO);
    ssize_t length = pread(errors, said, 511, 0);
    said[length > 0 ? length : 0] = '\0';
    close(old);
    close(errors);
    if (result == -1 && client) { /* nobody serves it any more */
        kill(client, SIGKILL);
        served_by_pool();
    }
    assert_int_equal(descriptors_of(getpid()), descriptors_before);
    assert_int_equal(children_of(getpid(), NULL, 0), client ? 1 : 0);
    return result;
}

static void expect_all_served(int (*start)(int, void *))
{
    char said[512];

    assert_int_equal(run_pool(start, said), 0);
    assert_string_equal(said, "");
    assert_int_equal(served_by_pool(), 6);
}

static void expect_failure(int (*start)(int, void *), const char *why)
{
    char said[512];

    assert_int_equal(run_pool(start, said), -1);
    if (!strstr(said, why) || strchr(said, '\n') != said + strlen(said) - 1)
        fail_msg("wanted one line with \"%s\", got \"%s\"", why, said);
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

static void accept_is_tried_again_after_a_moment_when_it_fails(void **state)
{
    static const int errors[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM, EINVAL};

    for (int i = 0; i < 6; i++) {
        if (i > 0) {
            tear_down(state);
            set_up(state);
        }
        accept_fault = (struct fault){1, 2, errors[i], 0};
        expect_all_served(work);
        assert_true(accept_fault.calls >= 8);
        assert_true(select_fault.calls < 100); /* it waited: it did not spin */
    }
}

static void a_connection_that_cannot_be_handed_over_yet_is_kept(void **state)
{
    static const int errors[] = {ENOBUFS, ENOMEM, ETOOMANYREFS};

    for (int i = 0; i < 3; i++) {
        if (i > 0) {
            tear_down(state);
            set_up(state);
        }
        sendmsg_fault = (struct fault){1, 2, errors[i], 0};
        expect_all_served(work);
        assert_true(select_fault.calls < 100);
    }
}

static void a_connection_for_a_worker_that_has_just_died_goes_to_the_next(void **state)
{
    static const int errors[] = {EPIPE, ECONNRESET, EAGAIN};

    for (int i = 0; i < 3; i++) {
        if (i > 0) {
            tear_down(state);
            set_up(state);
        }
        sendmsg_fault = (struct fault){1, 2, errors[i], 0}; /* two of three; the third takes it */
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

static void a_select_that_fails_ends_the_pool(void **state)
{
    (void)state;
    select_fault = (struct fault){2, 1000, EBADF, 0};
    expect_failure(work, "select: Bad file descriptor");
}

static void an_interrupted_read_is_no_error(void **state)
{
    (void)state;
    read_fault = (struct fault){1, 3, EINTR, 0};
    expect_all_served(work);
    tear_down(state);
    set_up(state);
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
    char said[512];

    (void)state;
    sendmsg_fault = (struct fault){1, 1000000, ENOBUFS, 0};
    stop_when_sendmsg_fails = true;
    assert_int_equal(run_pool(work, said), 0); /* and run_pool counts descriptors */
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
    (void)state;
    high_descriptors = true;
    expect_failure(work, "cannot start worker 1 of 3: Numerical result out of range");
}

/* Dies at its first connection if it is one of the first three. */
static int work_or_die(int channel, void *context)
{
    (void)context;
    if (__sync_add_and_fetch(shared_lives, 1) > 3)
        return work(channel, context);
    char report = 0, byte;
    int connection;
    if (write(channel, &report, 1) != 1 || read_fd(channel, &byte, 1, &connection) != 1)
        return 2;
    return 1;
}

static void a_place_is_filled_later_when_fork_fails(void **state)
{
    char said[512];

    (void)state;
    fork_fault = (struct fault){4, 6, EAGAIN, 0};
    assert_int_equal(run_pool(work_or_die, said), 0);
    assert_int_equal(served_by_pool(), 3); /* the dead have lost one each, the others none */
    assert_true(fork_fault.calls >= 9);
}

/* ---- workers that break the protocol ---- */

/* Sends these bytes as its reports; then it behaves. Only the first three workers do this. */
static int misbehave(int channel, void *context, const char *bytes, size_t length)
{
    char byte;

    if (__sync_add_and_fetch(shared_lives, 1) > 3)
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

static void a_worker_that_breaks_the_protocol_while_idle_is_replaced(void **state)
{
    char said[512];

    /* It is not yet idle when both reports are read at once: that is a worker that cannot start,
     * ended by the master's SIGKILL, and so it is replaced. */
    expect_all_served(report_twice);
    tear_down(state);
    set_up(state);
    assert_int_equal(run_pool(talk_without_end, said), 0);
    assert_int_equal(served_by_pool(), 6);
}

/* Answers a connection with nonsense on the channel. */
static int talk_when_busy(int channel, void *context)
{
    (void)context;
    if (__sync_add_and_fetch(shared_lives, 1) > 3)
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
    char said[512];

    (void)state;
    waitpid_fault = (struct fault){1, 2, EINTR, 0};
    assert_int_equal(run_pool(talk_when_busy, said), 0);
    assert_int_equal(served_by_pool(), 3);
}

/* Sends the master descriptors, which nobody asked for. */
static int send_descriptors(int channel, void *context)
{
    (void)context;
    if (__sync_add_and_fetch(shared_lives, 1) <= 3 &&
        write_fd(channel, "\0", 1, STDERR_FILENO) == -1)
        return 1;
    char byte;
    int connection;
    if (*shared_lives > 3)
        return work(channel, context);
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
    expect_failure(report_an_error, "a worker cannot start: Exec format error");
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
    for (int i = 0; i < 50; i++) /* its end-of-file must not be seen before its status */
        expect_failure(end_at_once, "ended with status 7 before it was idle");
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
    if (__sync_add_and_fetch(shared_lives, 1) <= 3)
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

/* ---- what a worker inherits ---- */

/* Ends with an error unless it has as many descriptors as any worker may have. */
static int count_descriptors(int channel, void *context)
{
    (void)context;
    /* What the test had before the pool, less the listener and one end of `stop`; the channel. */
    if (descriptors_of(getpid()) != descriptors_before - 2 + 1 + 2) {
        pool_cannot_start(channel, EMFILE);
        return 1;
    }
    return work(channel, context);
}

static void no_worker_inherits_the_channels_of_the_others(void **state)
{
    (void)state;
    expect_all_served(count_descriptors); /* the 2 are run_pool's own */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(serves_all),
        TEST(a_client_that_went_before_accept_is_no_error),
        TEST(accept_is_tried_again_after_a_moment_when_it_fails),
        TEST(a_connection_that_cannot_be_handed_over_yet_is_kept),
        TEST(a_connection_for_a_worker_that_has_just_died_goes_to_the_next),
        TEST(a_connection_waits_when_every_worker_has_just_died),
        TEST(an_interrupted_select_is_no_error),
        TEST(a_select_that_fails_ends_the_pool),
        TEST(an_interrupted_read_is_no_error),
        TEST(a_pool_without_memory_says_so),
        TEST(a_connection_that_waits_when_the_pool_ends_is_closed),
        TEST(a_first_worker_that_cannot_be_forked_ends_the_pool),
        TEST(a_first_channel_that_cannot_be_opened_ends_the_pool),
        TEST(a_channel_that_select_cannot_watch_ends_the_pool),
        TEST(a_place_is_filled_later_when_fork_fails),
        TEST(a_worker_that_breaks_the_protocol_while_idle_is_replaced),
        TEST(a_worker_that_breaks_the_protocol_while_busy_loses_its_connection),
        TEST(descriptors_that_a_worker_sends_do_not_leak_into_the_master),
        TEST(what_a_worker_reports_as_its_error_is_said),
        TEST(a_worker_that_ends_at_once_ends_the_pool),
        TEST(a_worker_that_crashes_at_once_ends_the_pool),
        TEST(a_worker_that_somebody_kills_before_it_is_idle_is_replaced),
        TEST(a_worker_that_ignores_sigterm_is_ended),
        TEST(no_worker_inherits_the_channels_of_the_others),
    };

    return run_chosen(tests);
}
