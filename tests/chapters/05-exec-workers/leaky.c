/* The program leaky shows what `make break-05` promises to show. */
#include "support.h"

static void a_leaky_master_wants_a_worker_and_a_count(void **state)
{
    struct output output = run(built("chapters/05-exec-workers/leaky"), NULL);

    (void)state;
    assert_int_equal(output.status, 2);
    assert_string_equal(output.err, "leaky: usage: leaky WORKER COUNT\n");
    output_free(&output);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leaky_master_wants_a_worker_and_a_count),
    };

    return run_chosen(tests);
}
