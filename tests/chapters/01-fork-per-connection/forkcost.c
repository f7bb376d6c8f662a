/* Test of chapter 1's forkcost: the shape of what it prints, whatever the times. */
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

static void forkcost(const char *option, const char *argument)
{
    output = run(built("chapters/01-fork-per-connection/forkcost"), option, argument, NULL);
}

/* Checks that there are lines for all sizes up to `largest`, a power of 2, and no more. A machine
 * with little free memory may leave sizes out, and says so. */
static void expect_sizes(long largest)
{
    const char *const pages[] = {"4 KiB", "2 MiB"};
    const char *line = output.out;

    assert_int_equal(output.status, 0);
    assert_int_equal(strncmp(line, "mib\tpages\tfork_us\n", 18), 0);
    line += 18;
    for (long size = 1; size <= largest; size *= 2) {
        if (*line == '\0' && strstr(output.err, "too little memory is free"))
            return;
        for (int i = 0; i < 2; i++) {
            double us = -1;
            long mib = -1;
            char page[8] = "";
            int length = 0;
            assert_int_equal(sscanf(line, "%ld\t%7[^\t]\t%lf%n", &mib, page, &us, &length), 3);
            assert_int_equal(mib, size);
            assert_string_equal(page, pages[i]);
            assert_true(us > 0);
            line += length;
            assert_int_equal(*line++, '\n');
        }
    }
    assert_string_equal(line, "");
    assert_string_equal(output.err, "");
}

static void each_size_has_a_line_for_each_kind_of_page(void **state)
{
    (void)state;
    forkcost("-m", "4");
    expect_sizes(4);
}

static void a_bound_between_two_sizes_leaves_out_the_larger_one(void **state)
{
    (void)state;
    forkcost("-m", "3");
    expect_sizes(2);
}

static void one_mib_is_the_least(void **state)
{
    (void)state;
    forkcost("-m", "1");
    expect_sizes(1);
}

static void help_is_printed_on_stdout(void **state)
{
    (void)state;
    forkcost("-h", NULL);
    assert_int_equal(output.status, 0);
    assert_string_equal(output.out, "usage: forkcost [-m MIB]\n");
    assert_string_equal(output.err, "");
}

static void a_wrong_argument_is_answered_with_the_usage(void **state)
{
    const struct {
        const char *option, *argument, *reason;
    } wrong[] = {
        {"-m", "0", "-m 0: not a number of MiB"},
        {"-m", "1048577", "-m 1048577: not a number of MiB"},
        {"-m", "-1", "-m -1: not a number of MiB"},
        {"-m", "4M", "-m 4M: not a number of MiB"},
        {"-m", "", "-m : not a number of MiB"},
        {"-m", NULL, "requires an argument"},
        {"-x", NULL, "invalid option"},
        {"4", NULL, "4: one argument too many"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        forkcost(wrong[i].option, wrong[i].argument);
        assert_int_equal(output.status, 2);
        assert_string_equal(output.out, "");
        assert_non_null(strstr(output.err, wrong[i].reason));
        assert_non_null(strstr(output.err, "usage: forkcost [-m MIB]\n"));
        output_free(&output);
    }
}

static void no_standard_descriptor_is_taken_for_another(void **state)
{
    (void)state;
    expect_sound_output("mib\tpages\tfork_us\n", built("chapters/01-fork-per-connection/forkcost"),
                        "-m", "2", NULL);
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_size_has_a_line_for_each_kind_of_page),
        TEST(a_bound_between_two_sizes_leaves_out_the_larger_one),
        TEST(one_mib_is_the_least),
        TEST(help_is_printed_on_stdout),
        TEST(a_wrong_argument_is_answered_with_the_usage),
        TEST(no_standard_descriptor_is_taken_for_another),
    };

    return run_chosen(tests);
}
