/*
 * Test of chapters/07-one-queue/worker.c: started by hand, without a queue. What it does with one
 * the suites test, in a server.
 */
#include "support.h"

static void says_that_it_needs_a_queue(void **state)
{
    struct output output = run(built("chapters/07-one-queue/worker"), NULL);

    (void)state;
    assert_int_equal(output.status, 1);
    assert_string_equal(output.out, "");
    assert_string_equal(output.err,
                        "worker: descriptor 0 is not a queue: the server starts this program\n");
    output_free(&output);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(says_that_it_needs_a_queue)};

    return run_chosen(tests);
}
