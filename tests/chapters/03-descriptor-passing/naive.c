/* The program naive shows what `make break-03` promises to show. */
#include "support.h"

#include <string.h>

static void a_naive_receiver_leaks_and_closes_the_wrong_descriptor(void **state)
{
    struct output output = run(built("chapters/03-descriptor-passing/naive"), NULL);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_naive_receiver_leaks_and_closes_the_wrong_descriptor),
    };

    return run_chosen(tests);
}
