/*
 * Test of chapters/06-accept-in-workers/server.c: a gate that cannot be opened. What its servers do
 * otherwise the suites test.
 */
#include "support.h"

#include <string.h>

static void says_which_worker_cannot_have_its_gate(void **state)
{
    /* Signals, listener, deaths, and what watches them are 3 to 6. */
    const char *command = "ulimit -n 7; ASAN_OPTIONS=detect_leaks=0 exec \"$0\" \"$@\"";
    struct output output =
        run("/bin/sh", "-c", command, built("chapters/06-accept-in-workers/server"), "-p", "0",
            "-m", "epoll", "4", NULL);
    const char *says = "server: -m epoll: cannot start worker 1 of 4: Too many open files\n";

    (void)state;
    assert_int_equal(output.status, 1);
    assert_string_equal(output.out, "");
    if (strncmp(output.err, says, strlen(says)) != 0)
        fail_msg("it said \"%s\"", output.err);
    output_free(&output);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(says_which_worker_cannot_have_its_gate)};

    return run_chosen(tests);
}
