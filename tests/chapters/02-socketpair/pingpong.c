/* Test of chapter 2's pingpong: what each kind of channel does with directions, boundaries and the
 * end-of-file. */
#include "support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct output output;

static int tear_down(void **state)
{
    (void)state;
    output_free(&output);
    return 0;
}

static void pingpong(const char *kind, const char *rounds)
{
    output = run(built("chapters/02-socketpair/pingpong"), "-t", kind, "-n", rounds, NULL);
}

static const char directions[] = "both directions:\n"
                                 "  parent says \"ping\"\n"
                                 "  child hears \"ping\", says \"pong\"\n"
                                 "  parent hears \"pong\"\n";

/* Checks all lines: this kind, these reads, and a time for so many rounds. */
static void expect_lines(const char *kind, const char *reads, int rounds)
{
    char expected[1024];
    double us = -1;
    int timed = -1, length = 0;

    assert_int_equal(output.status, 0);
    assert_string_equal(output.err, "");
    snprintf(expected, sizeof(expected),
             "a channel of kind %s\n"
             "%s"
             "boundaries and end-of-file: the child says \"one\", \"two\", \"three\" and ends\n"
             "%s",
             kind, directions, reads);
    assert_int_equal(strncmp(output.out, expected, strlen(expected)), 0);
    const char *rest = output.out + strlen(expected);
    assert_int_equal(
        sscanf(rest, "time: %d round trips of one byte, %lf µs each\n%n", &timed, &us, &length), 2);
    assert_int_equal(timed, rounds);
    assert_true(us >= 0);
    assert_true(length > 0);
    assert_string_equal(rest + length, "");
}

static const char one_read[] = "  read 1 gives \"onetwothree\"\n"
                               "  read 2 gives 0, end-of-file\n";

static void a_stream_keeps_no_boundaries_and_has_an_end(void **state)
{
    (void)state;
    pingpong("stream", "10");
    expect_lines("stream", one_read, 10);
}

static void a_seqpacket_keeps_boundaries_and_has_an_end(void **state)
{
    (void)state;
    pingpong("seqpacket", "10");
    expect_lines("seqpacket",
                 "  read 1 gives \"one\"\n"
                 "  read 2 gives \"two\"\n"
                 "  read 3 gives \"three\"\n"
                 "  read 4 gives 0, end-of-file\n",
                 10);
}

static void a_dgram_keeps_boundaries_and_has_no_end(void **state)
{
    (void)state;
    pingpong("dgram", "10");
    expect_lines("dgram",
                 "  read 1 gives \"one\"\n"
                 "  read 2 gives \"two\"\n"
                 "  read 3 gives \"three\"\n"
                 "  read 4 would wait for ever: no end-of-file on this channel\n",
                 10);
}

static void a_pipe_keeps_no_boundaries_and_has_an_end(void **state)
{
    (void)state;
    pingpong("pipe", "10");
    expect_lines("pipe", one_read, 10);
}

static void without_arguments_it_is_a_stream(void **state)
{
    (void)state;
    output = run(built("chapters/02-socketpair/pingpong"), NULL);
    expect_lines("stream", one_read, 10000);
}

static void one_round_is_timed(void **state)
{
    (void)state;
    pingpong("stream", "1");
    expect_lines("stream", one_read, 1);
}

static void help_is_printed_on_stdout(void **state)
{
    (void)state;
    output = run(built("chapters/02-socketpair/pingpong"), "-h", NULL);
    assert_int_equal(output.status, 0);
    assert_int_equal(strncmp(output.out, "usage: pingpong ", 16), 0);
    assert_string_equal(output.err, "");
}

static void a_wrong_argument_is_answered_with_the_usage(void **state)
{
    const struct {
        const char *option, *argument, *reason;
    } wrong[] = {
        {"-t", "tcp", "-t tcp: no kind of channel"},
        {"-t", "STREAM", "-t STREAM: no kind of channel"},
        {"-t", "", "-t : no kind of channel"},
        {"-t", NULL, "requires an argument"},
        {"-n", "0", "-n 0: not a number of rounds"},
        {"-n", "100000001", "-n 100000001: not a number of rounds"},
        {"-n", "-1", "-n -1: not a number of rounds"},
        {"-n", "1e3", "-n 1e3: not a number of rounds"},
        {"-n", "", "-n : not a number of rounds"},
        {"-n", NULL, "requires an argument"},
        {"-x", NULL, "invalid option"},
        {"stream", NULL, "stream: one argument too many"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        output =
            run(built("chapters/02-socketpair/pingpong"), wrong[i].option, wrong[i].argument, NULL);
        assert_int_equal(output.status, 2);
        assert_string_equal(output.out, "");
        assert_non_null(strstr(output.err, wrong[i].reason));
        assert_non_null(strstr(output.err, "usage: pingpong "));
        output_free(&output);
    }
}

static bool has_said_what_the_child_does(void *running)
{
    char *said = server_errors(running);
    bool found = strstr(said, "end-of-file\n") != NULL;

    free(said);
    return found && children_of(((struct server *)running)->pid, NULL, 0) == 1;
}

static void a_child_that_is_killed_is_noticed(void **state)
{
    const char *const command[] = {"/bin/sh", "-c", "exec \"$0\" -n 100000000 >&2",
                                   built("chapters/02-socketpair/pingpong"), NULL};
    struct server running = server_spawn(command);
    pid_t child;

    (void)state;
    /* Then there is the one child of the rounds that are timed. */
    assert_true(wait_until(has_said_what_the_child_does, &running));
    assert_int_equal(children_of(running.pid, &child, 1), 1);
    kill(child, SIGKILL);
    int errors = dup(running.errors);
    assert_int_equal(server_wait(&running), 1);
    running.errors = errors;
    char *said = server_errors(&running);
    assert_non_null(strstr(said, "pingpong: the child has gone\n"));
    free(said);
    close(errors);
}

static void no_standard_descriptor_is_taken_for_another(void **state)
{
    (void)state;
    expect_sound_output("a channel of kind stream\n", built("chapters/02-socketpair/pingpong"),
                        "-n", "3", NULL);
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

static void a_program_that_can_open_nothing_says_so(void **state)
{
    (void)state;
    expect_error_at_limit(4, "socketpair: Too many open files",
                          built("chapters/02-socketpair/pingpong"), "-tstream");
    expect_error_at_limit(5, "pipe: Too many open files", built("chapters/02-socketpair/pingpong"),
                          "-tpipe");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_stream_keeps_no_boundaries_and_has_an_end),
        TEST(a_seqpacket_keeps_boundaries_and_has_an_end),
        TEST(a_dgram_keeps_boundaries_and_has_no_end),
        TEST(a_pipe_keeps_no_boundaries_and_has_an_end),
        TEST(without_arguments_it_is_a_stream),
        TEST(one_round_is_timed),
        TEST(help_is_printed_on_stdout),
        TEST(a_wrong_argument_is_answered_with_the_usage),
        TEST(a_program_that_can_open_nothing_says_so),
        TEST(a_child_that_is_killed_is_noticed),
        TEST(no_standard_descriptor_is_taken_for_another),
    };

    return run_chosen(tests);
}
