/*
 * Unit test of chapters/07-one-queue/travel.c: what a number means when it arrives. Acceptor and
 * worker are one process here, or parent and child, each in a child of the test, for the acceptor's
 * timer would be that of the test.
 */
#include "support.h"

#include "travel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
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
    return by_number->open() == 0 && queue_open(queue, 16) == 0 ? 0 : -1;
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
        _exit(story() ? 0 : 1);
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

static void the_numbers_of_a_dead_acceptor_are_passed_over(void **state)
{
    (void)state;
    expect_of(acceptor_dies);
}

/* A program that its user may run and not read is not "dumpable": ptrace(2), PR_SET_DUMPABLE. */
static void says_that_descriptors_may_not_be_taken(void **state)
{
    char path[] = "/tmp/travel-test-XXXXXX";

    (void)state;
    if (geteuid() != 0) {
        print_message("# only root can become a user who may not read the program\n");
        return;
    }
    int file = mkstemp(path);
    assert_true(file != -1);
    close(file);
    struct output copied = run("/bin/cp", built("chapters/07-one-queue/server"), path, NULL);
    assert_int_equal(copied.status, 0);
    assert_int_equal(chmod(path, 0711), 0);
    struct output output = run("/usr/bin/setpriv", "--reuid", "1000999", "--regid", "1000999",
                               "--clear-groups", path, "-p", "0", "-m", "pidfd", NULL);
    assert_int_equal(output.status, 1);
    assert_string_equal(output.out, "");
    const char *says = strstr(output.err, ": -m pidfd: a process may not take descriptors out of "
                                          "another: Operation not permitted\n");
    if (!says)
        fail_msg("it said \"%s\"", output.err);
    output_free(&copied);
    output_free(&output);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_brings_its_connection),
        cmocka_unit_test(a_number_that_means_another_connection_is_not_served),
        cmocka_unit_test(a_number_that_means_nothing_is_passed_over),
        cmocka_unit_test(the_numbers_of_a_dead_acceptor_are_passed_over),
        cmocka_unit_test(says_that_descriptors_may_not_be_taken),
    };

    return test_chosen(tests, sizeof(tests) / sizeof(*tests))
               ? cmocka_run_group_tests(tests, find_it, NULL)
               : EXIT_FAILURE;
}
