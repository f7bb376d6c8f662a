/* The programs behind `make break-NN` show what they promise to show. */
#include "support.h"

#include <string.h>

static void boundaries_are_lost_when_the_writer_does_not_wait(void **state)
{
    struct output output = run(built("common/lab/boundaries"), NULL);
    const char *fast = strstr(output.out, "does not wait:");

    (void)state;
    assert_int_equal(output.status, 0);
    assert_string_equal(output.err, "");
    assert_non_null(strstr(output.out, "the reader has counted 1000\n"));
    assert_non_null(fast);
    assert_non_null(strstr(fast, "1000 messages were written"));
    output_free(&output);
}

static void a_naive_receiver_leaks_and_closes_the_wrong_descriptor(void **state)
{
    struct output output = run(built("common/lab/naive"), NULL);
    const char *careful = strstr(output.out, "read_fd:\n");

    (void)state;
    assert_int_equal(output.status, 0);
    assert_string_equal(output.err, "");
    assert_non_null(careful);
    assert_non_null(
        strstr(output.out,
               "message  3: received descriptor 3, and closed it; open that should not be: 3"));
    assert_true(strstr(output.out, "the log is closed") < careful);
    assert_null(strstr(careful, "received"));
    assert_non_null(
        strstr(careful, "message 10: refused, Protocol error; open that should not be: 0"));
    assert_non_null(strstr(careful, "the log is open"));
    output_free(&output);
}

static void a_leaky_master_wants_a_worker_and_a_count(void **state)
{
    struct output output = run(built("common/lab/leaky"), NULL);

    (void)state;
    assert_int_equal(output.status, 2);
    assert_string_equal(output.err, "leaky: usage: leaky WORKER COUNT\n");
    output_free(&output);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boundaries_are_lost_when_the_writer_does_not_wait),
        cmocka_unit_test(a_naive_receiver_leaks_and_closes_the_wrong_descriptor),
        cmocka_unit_test(a_leaky_master_wants_a_worker_and_a_count),
    };

    return run_chosen(tests);
}
