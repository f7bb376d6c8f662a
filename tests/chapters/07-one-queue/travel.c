/*
 * Unit test of chapters/07-one-queue/travel.c: what a number means when it arrives. Acceptor and
 * worker are one process here, or parent and child, each in a child of the test, for the acceptor's
 * timer would be that of the test.
 */
#include "support.h"

#include "travel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FIRST, SECOND };

static const struct travel *by_number;
static int queue[2], served;
static char heard[8];

static int64_t clock_ahead;

int64_t __real_now_ms(void);
int64_t __wrap_now_ms(void);

int64_t __wrap_now_ms(void)
{
    return __real_now_ms() + clock_ahead;
}

static int find_it(void **state)
{
    (void)state;
    for (by_number = travels; strcmp(by_number->name, "pidfd") != 0;)
        by_number++;
    return by_number->open();
}

/* What a worker does that gets `served`: who is at the other end? */
static int hear(int connection)
{
    served++;
    return recv(connection, heard, sizeof(heard) - 1, MSG_DONTWAIT) > 0 ? 0 : -1;
}

/* One end of a pair, at the other of which this has been said. */
static int saying(const char *what)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1 ||
        send(pair[0], what, strlen(what), 0) == -1)
        _exit(101);
    return pair[1];
}

static void work_to_the_end(void)
{
    shutdown(queue[FIRST], SHUT_WR);
    if (by_number->work(queue[SECOND], hear) != 0)
        _exit(102);
}

/* Runs one of the below in a process of its own, which ends with 0 when it is content. */
static void expect_of(bool (*story)(void))
{
    int status;
    pid_t child = fork();

    assert_true(child != -1);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(queue_open(queue, 16) == 0 && story() ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static bool arrives(void)
{
    if (by_number->way->put(queue[FIRST], saying("one")) == -1)
        return false;
    work_to_the_end();
    return served == 1 && strcmp(heard, "one") == 0;
}

static void a_number_brings_its_connection(void **state)
{
    (void)state;
    expect_of(arrives);
}

/* As for a worker that was stopped for so long that the acceptor has given it up. */
static bool means_another(void)
{
    int connection = saying("one"), other = saying("other");

    if (by_number->way->put(queue[FIRST], connection) == -1 || dup2(other, connection) == -1)
        return false;
    work_to_the_end();
    return served == 0;
}

static void a_number_that_means_another_connection_is_not_served(void **state)
{
    (void)state;
    expect_of(means_another);
}

static bool is_closed(void)
{
    int connection = saying("one");

    if (by_number->way->put(queue[FIRST], connection) == -1 || close(connection) == -1 ||
        by_number->way->put(queue[FIRST], saying("two")) == -1)
        return false;
    work_to_the_end();
    return served == 1 && strcmp(heard, "two") == 0;
}

static void a_number_that_means_nothing_is_passed_over(void **state)
{
    (void)state;
    expect_of(is_closed);
}

/* Two acceptors, one after the other: the first is dead when its number is taken. */
static bool acceptor_dies(void)
{
    static const char *const said[] = {"first", "second"};
    int going[2];

    for (int i = 0; i < 2; i++) {
        if (pipe2(going, O_CLOEXEC) == -1)
            return false;
        pid_t acceptor = fork();
        if (acceptor == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (by_number->way->put(queue[FIRST], saying(said[i])) == -1)
                _exit(1);
            if (i == 0)
                _exit(0);
            close(going[1]); /* it is in */
            for (;;)
                pause();
        }
        char byte;
        close(going[1]);
        if (i == 0 ? waitpid(acceptor, NULL, 0) != acceptor : read(going[0], &byte, 1) != 0)
            return false;
    }
    work_to_the_end();
    return served == 1 && strcmp(heard, "second") == 0;
}

/* A worker was so late to say what it has copied that the number is another connection's. */
static bool late_word(void)
{
    int connection = saying("one"), other = saying("two");

    if (by_number->way->put(queue[FIRST], connection) == -1)
        return false;
    pid_t worker = fork();
    if (worker == 0) {
        work_to_the_end(); /* it has copied it, and said so */
        _exit(served == 1 ? 0 : 1);
    }
    int status = 0;
    if (waitpid(worker, &status, 0) != worker || status != 0 || close(connection) == -1 ||
        dup2(other, connection) == -1 || queue_open(queue, 16) == -1 ||
        by_number->way->put(queue[FIRST], connection) == -1)
        return false;
    by_number->way->rest(queue[FIRST]);
    return fcntl(connection, F_GETFD) != -1; /* it is on its way still */
}

static void a_late_word_of_a_number_closes_no_other_connection(void **state)
{
    (void)state;
    expect_of(late_word);
}

static bool early_word(void)
{
    int connection = saying("one");

    if (by_number->way->put(queue[FIRST], connection) == -1)
        return false;
    work_to_the_end();
    by_number->way->rest(queue[FIRST]);
    return fcntl(connection, F_GETFD) == -1;
}

static void a_copy_that_is_not_needed_any_more_is_closed(void **state)
{
    (void)state;
    expect_of(early_word);
}

static void the_numbers_of_a_dead_acceptor_are_passed_over(void **state)
{
    (void)state;
    expect_of(acceptor_dies);
}

/* Looks after the copies when so much time has passed. */
static void rest_after(int64_t ms)
{
    clock_ahead += ms;
    by_number->way->rest(queue[FIRST]);
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) != -1;
}

/* A worker takes a number, and is killed before it says so. */
static bool orphan(void)
{
    char bytes[64];
    int connection = saying("one");

    if (by_number->way->put(queue[FIRST], connection) == -1 ||
        recv(queue[SECOND], bytes, sizeof(bytes), 0) <= 0)
        return false;
    raise(SIGALRM); /* as its timer does, which means that it is to look */
    rest_after(2000);
    if (!is_open(connection)) /* it may have been taken just now */
        return false;
    rest_after(2000);
    return !is_open(connection);
}

static void who_takes_a_number_and_is_not_heard_of_loses_it(void **state)
{
    (void)state;
    expect_of(orphan);
}

/* All workers were busy for long, and one has taken it only now. */
static bool late_taker(void)
{
    char bytes[64];
    int connection = saying("one");

    if (by_number->way->put(queue[FIRST], connection) == -1)
        return false;
    rest_after(5000);
    rest_after(5000);
    if (recv(queue[SECOND], bytes, sizeof(bytes), 0) <= 0)
        return false;
    rest_after(5000);
    return is_open(connection);
}

static void what_has_waited_long_is_no_orphan(void **state)
{
    (void)state;
    expect_of(late_taker);
}

static bool breaks(void)
{
    int connection = saying("one");

    shutdown(queue[SECOND], SHUT_RD);
    return by_number->way->put(queue[FIRST], connection) == -1 && errno == EPIPE &&
           is_open(connection);
}

static void a_broken_queue_is_said(void **state)
{
    (void)state;
    expect_of(breaks);
}

static bool nonsense(void)
{
    return send(queue[FIRST], "?", 1, 0) == 1 && by_number->work(queue[SECOND], hear) == -1 &&
           errno == EPROTO && served == 0;
}

static void what_is_no_number_breaks_the_protocol(void **state)
{
    (void)state;
    expect_of(nonsense);
}

/* In epoll_wait: an instance of its own is one descriptor too many. */
static bool no_instance(void)
{
    struct rlimit limit;
    unsigned char report;
    const struct travel *warm = travels;

    while (strcmp(warm->name, "epoll") != 0)
        warm++;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 1;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0 && warm->work(queue[SECOND], hear) == -1 &&
           errno == EMFILE && recv(queue[FIRST], &report, 1, MSG_DONTWAIT) == 1 && report == EMFILE;
}

static void a_worker_that_cannot_wait_says_why(void **state)
{
    (void)state;
    expect_of(no_instance);
}

static void a_program_gets_its_connections_in_the_usual_way_only(void **state)
{
    struct output output =
        run(built("chapters/07-one-queue/server"), "-p", "0", "-m", "pidfd", "-w", "worker", NULL);

    (void)state;
    assert_int_equal(output.status, 2);
    assert_string_equal(output.out, "");
    assert_string_equal(output.err, "server: -w PROGRAM: a program knows -m rights only\n");
    output_free(&output);
}

/* As in a container that forbids it: the server, behind a filter of system calls, seccomp(2). */
static void says_that_descriptors_may_not_be_taken(void **state)
{
    struct sock_filter lines[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_getfd, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog filter = {.len = 4, .filter = lines};
    int errors[2], status;
    char said[256] = "";

    (void)state;
    assert_int_equal(pipe2(errors, O_CLOEXEC), 0);
    pid_t child = fork();
    assert_true(child != -1);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(errors[1], STDERR_FILENO);
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == -1)
            _exit(101);
        execl(built("chapters/07-one-queue/server"), "server", "-p", "0", "-m", "pidfd", NULL);
        _exit(102);
    }
    close(errors[1]);
    assert_true(read(errors[0], said, sizeof(said) - 1) > 0);
    close(errors[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 1 << 8);
    assert_string_equal(said,
                        "server: -m pidfd: a process may not take descriptors out of another: "
                        "Operation not permitted\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_brings_its_connection),
        cmocka_unit_test(a_number_that_means_another_connection_is_not_served),
        cmocka_unit_test(a_number_that_means_nothing_is_passed_over),
        cmocka_unit_test(the_numbers_of_a_dead_acceptor_are_passed_over),
        cmocka_unit_test(a_late_word_of_a_number_closes_no_other_connection),
        cmocka_unit_test(a_copy_that_is_not_needed_any_more_is_closed),
        cmocka_unit_test(who_takes_a_number_and_is_not_heard_of_loses_it),
        cmocka_unit_test(what_has_waited_long_is_no_orphan),
        cmocka_unit_test(a_broken_queue_is_said),
        cmocka_unit_test(what_is_no_number_breaks_the_protocol),
        cmocka_unit_test(a_worker_that_cannot_wait_says_why),
        cmocka_unit_test(a_program_gets_its_connections_in_the_usual_way_only),
        cmocka_unit_test(says_that_descriptors_may_not_be_taken),
    };

    return test_chosen(tests, sizeof(tests) / sizeof(*tests))
               ? cmocka_run_group_tests(tests, find_it, NULL)
               : EXIT_FAILURE;
}
