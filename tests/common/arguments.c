/* Unit test of common/arguments.c: numbers. What programs answer to a mistake is in the tests of
 * each. */
#include "support.h"

#include "arguments.h"

#include <inttypes.h>

static void whole_decimal_numbers_are_read(void **state)
{
    const struct {
        const char *text;
        int64_t number;
    } right[] = {
        {"0", 0}, {"7", 7}, {"08", 8}, {"0000000000000000000000012", 12}, {"65535", 65535},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(right) / sizeof(*right); i++) {
        int64_t number = -1;
        assert_true(parse_number(right[i].text, 0, 65535, &number));
        assert_int_equal(number, right[i].number);
    }
}

static void the_bounds_themselves_are_in_range(void **state)
{
    int64_t number;

    (void)state;
    assert_true(parse_number("3", 3, 5, &number));
    assert_true(parse_number("5", 3, 5, &number));
    assert_false(parse_number("2", 3, 5, &number));
    assert_false(parse_number("6", 3, 5, &number));
}

static void anything_else_is_no_number(void **state)
{
    const char *const wrong[] = {"",   " ",   " 1",   "1 ",  "\t1",  "+1", "-1",
                                 "-0", "0x1", "1e3",  "1.0", "1,0",  "1k", "one",
                                 "--", "1\n", "\xb2", "1-",  "0b11", "'"};

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        int64_t number;
        if (parse_number(wrong[i], INT64_MIN, INT64_MAX, &number))
            fail_msg("\"%s\" was taken for %" PRId64, wrong[i], number);
    }
}

static void a_number_too_large_for_64_bits_is_out_of_range(void **state)
{
    int64_t number;

    (void)state;
    assert_true(parse_number("9223372036854775807", 0, INT64_MAX, &number));
    assert_true(number == INT64_MAX);
    assert_false(parse_number("9223372036854775808", 0, INT64_MAX, &number));
    assert_false(parse_number("18446744073709551617", 0, INT64_MAX, &number));
    assert_false(parse_number("99999999999999999999999999999999", 0, INT64_MAX, &number));
}

static void an_error_of_before_is_not_taken_for_one_of_now(void **state)
{
    int64_t number;

    (void)state;
    assert_false(parse_number("99999999999999999999999999999999", 0, 9, &number)); /* sets errno */
    assert_true(parse_number("9", 0, 9, &number));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_decimal_numbers_are_read),
        cmocka_unit_test(the_bounds_themselves_are_in_range),
        cmocka_unit_test(anything_else_is_no_number),
        cmocka_unit_test(a_number_too_large_for_64_bits_is_out_of_range),
        cmocka_unit_test(an_error_of_before_is_not_taken_for_one_of_now),
    };

    return run_chosen(tests);
}
