/* Test of chapter 3's passcost: the shape of what it prints, whatever the times. */
#include "support.h"

#include <stdio.h>
#include <string.h>

static struct output output;

static int tear_down(void **state)
{
    (void)state;
    output_free(&output);
    return 0;
}

static void passcost(const char *option, const char *argument)
{
    output = run(built("chapters/03-descriptor-passing/passcost"), option, argument, NULL);
}

static void each_way_has_a_line_with_its_time(void **state)
{
    const char *const ways[] = {"one byte, there and back", "pass a descriptor",
                                "fork, exit and wait"};
    const char *line;

    (void)state;
    passcost("-n", "3");
    assert_int_equal(output.status, 0);
    assert_string_equal(output.err, "");
    line = output.out;
    assert_int_equal(strncmp(line, "way\tus\n", 7), 0);
    line += 7;
    for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
        double us = -1;
        int length = 0;
        assert_int_equal(strncmp(line, ways[i], strlen(ways[i])), 0);
        line += strlen(ways[i]);
        assert_int_equal(*line, '\t');
        assert_int_equal(sscanf(line, "%lf%n", &us, &length), 1);
        assert_true(us > 0);
        line += length;
        assert_int_equal(*line++, '\n');
    }
    assert_string_equal(line, "");
}

static void one_round_is_enough(void **state)
{
    (void)state;
    passcost("-n", "1");
    assert_int_equal(output.status, 0);
    assert_string_equal(output.err, "");
}

static void help_is_printed_on_stdout(void **state)
{
    (void)state;
    passcost("-h", NULL);
    assert_int_equal(output.status, 0);
    assert_string_equal(output.out, "usage: passcost [-n ROUNDS]\n");
    assert_string_equal(output.err, "");
}

static void a_wrong_argument_is_answered_with_the_usage(void **state)
{
    const struct {
        const char *option, *argument, *reason;
    } wrong[] = {
        {"-n", "0", "-n 0: not a number of rounds"},
        {"-n", "1000001", "-n 1000001: not a number of rounds"},
        {"-n", "-1", "-n -1: not a number of rounds"},
        {"-n", "3x", "-n 3x: not a number of rounds"},
        {"-n", "", "-n : not a number of rounds"},
        {"-n", NULL, "requires an argument"},
        {"-x", NULL, "invalid option"},
        {"3", NULL, "3: one argument too many"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        passcost(wrong[i].option, wrong[i].argument);
        assert_int_equal(output.status, 2);
        assert_string_equal(output.out, "");
        assert_non_null(strstr(output.err, wrong[i].reason));
        assert_non_null(strstr(output.err, "usage: passcost [-n ROUNDS]\n"));
        output_free(&output);
    }
}

static void a_process_that_can_open_nothing_says_so(void **state)
{
    (void)state;
    expect_error_at_limit(4, "cannot start: Too many open files",
                          built("chapters/03-descriptor-passing/passcost"), NULL);
}

static void no_standard_descriptor_is_taken_for_another(void **state)
{
    (void)state;
    expect_sound_output("way\tus\n", built("chapters/03-descriptor-passing/passcost"), "-n", "3",
                        NULL);
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_way_has_a_line_with_its_time),
        TEST(one_round_is_enough),
        TEST(help_is_printed_on_stdout),
        TEST(a_wrong_argument_is_answered_with_the_usage),
        TEST(a_process_that_can_open_nothing_says_so),
        TEST(no_standard_descriptor_is_taken_for_another),
    };

    return run_chosen(tests);
}
