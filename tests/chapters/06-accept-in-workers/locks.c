/* Test of chapters/06-accept-in-workers/locks.c: a demonstration, which a learner may start by
 * hand. */
#include "support.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WORKERS = 3 };

static const char *const kinds[] = {"none", "mutex", "robust", "fcntl", "flock"};

static struct server start(const char *kind)
{
    const char *arguments[] = {
        built("chapters/06-accept-in-workers/locks"), "-m", kind, "-p", "0", "3", NULL};

    return server_start(arguments);
}

static void each_lock_lets_all_be_served_and_ends_with_its_workers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        struct server server = start(kinds[i]);
        pid_t workers[WORKERS];
        for (int j = 0; j < 20; j++)
            expect_service(&server);
        assert_int_equal(children_of(server.pid, workers, WORKERS), WORKERS);
        assert_int_equal(server_stop(&server), 0);
        expect_no_children_left(&server, workers, WORKERS);
    }
}

static int killed; /* of the workers, from the first on */

/* Those that were killed are dead, all others asleep: one in accept, the rest at the lock. */
static bool are_settled(void *workers)
{
    for (int i = 0; i < WORKERS; i++)
        if (process_state(((pid_t *)workers)[i]) != (i < killed ? 'Z' : 'S'))
            return false;
    return true;
}

/* One is left, and it can be served by that one only if no dead one has kept the lock. */
static void all_but_the_plain_mutex_are_free_when_their_holder_dies(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        struct server server = start(kinds[i]);
        pid_t workers[WORKERS];
        expect_service(&server);
        assert_int_equal(children_of(server.pid, workers, WORKERS), WORKERS);
        /* One by one: one that is killed while it gives the lock back, or has just been woken to
         * take it, may leave another one asleep at it (fact:
         * a-kill-can-leave-a-sleeper-at-a-free-mutex). */
        for (killed = 0; killed < WORKERS - 1; kill(workers[killed++], SIGKILL))
            assert_true(wait_until(are_settled, workers));
        assert_true(wait_until(are_settled, workers));
        if (strcmp(kinds[i], "mutex") != 0) /* which may be free by chance: what it waits for */
            for (int j = 0; j < 5; j++)
                expect_service(&server);
        assert_int_equal(server_stop(&server), 0);
    }
}

static void an_unknown_kind_is_a_mistake_that_lists_them(void **state)
{
    struct output output =
        run(built("chapters/06-accept-in-workers/locks"), "-m", "semaphore", NULL);

    (void)state;
    assert_int_equal(output.status, 2);
    assert_non_null(strstr(output.err, "locks: -m semaphore: not one of none, mutex, robust"));
    output_free(&output);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_lock_lets_all_be_served_and_ends_with_its_workers),
        cmocka_unit_test(all_but_the_plain_mutex_are_free_when_their_holder_dies),
        cmocka_unit_test(an_unknown_kind_is_a_mistake_that_lists_them),
    };
    return run_chosen(tests);
}
