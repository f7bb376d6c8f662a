/* The program boundaries shows what `make break-02` promises to show. */
#include "support.h"

#include <string.h>

static void boundaries_are_lost_when_the_writer_does_not_wait(void **state)
{
    struct output output = run(built("chapters/02-socketpair/boundaries"), NULL);
    const char *fast = strstr(output.out, "does not wait:");

    (void)state;
    assert_int_equal(output.status, 0);
    assert_string_equal(output.err, "");
    assert_non_null(strstr(output.out, "the reader has counted 1000\n"));
    assert_non_null(fast);
    assert_non_null(strstr(fast, "1000 messages were written"));
    output_free(&output);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boundaries_are_lost_when_the_writer_does_not_wait),
    };

    return run_chosen(tests);
}
