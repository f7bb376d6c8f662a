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
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FIRST, SECOND };

static const struct travel *by_number;
static int queue[2], served;
static char heard[8];

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
        cmocka_unit_test(says_that_descriptors_may_not_be_taken),
    };

    return test_chosen(tests, sizeof(tests) / sizeof(*tests))
               ? cmocka_run_group_tests(tests, find_it, NULL)
               : EXIT_FAILURE;
}
