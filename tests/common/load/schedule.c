/* Unit test of common/load/schedule.c. From a seed all is decided: nothing here is left to chance.
 */
#include "support.h"

#include "schedule.h"

#include <math.h>
#include <stdlib.h>

enum { MANY = 100000 };

static struct schedule schedule;

static int64_t take(void)
{
    int64_t due = schedule_next(&schedule);

    schedule_advance(&schedule);
    return due;
}

static void even_distances_are_exact(void **state)
{
    (void)state;
    schedule_begin(&schedule, 1000, true, 1, 7000);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(take(), 7000 + (int64_t)i * 1000000);
}

static void even_distances_that_are_no_whole_number_do_not_drift(void **state)
{
    (void)state;
    schedule_begin(&schedule, 3, true, 1, 0);
    for (int64_t i = 0; i < 3 * MANY; i++) {
        int64_t due = take();
        if (llabs(due - i * 1000000000 / 3) > 1)
            fail_msg("connection %d is due at %jd", (int)i, (intmax_t)due);
    }
}

static void a_rate_can_be_below_1(void **state)
{
    (void)state;
    schedule_begin(&schedule, 0.25, true, 1, 0);
    assert_int_equal(take(), 0);
    assert_int_equal(take(), 4000000000);
}

/* Fills `distances` with so many, in units of their mean. */
static void draw(double rate, uint64_t seed, double distances[MANY])
{
    int64_t last = 0;

    schedule_begin(&schedule, rate, false, seed, 0);
    for (int i = 0; i < MANY; i++) {
        int64_t due = take();
        assert_true(due >= last);
        distances[i] = (double)(due - last) / 1e9 * rate;
        last = due;
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The largest difference between their distribution and the exponential one (Kolmogorov and
 * Smirnov): of so many random numbers it is above 1.95 / sqrt(MANY) once in a thousand times. */
static void random_distances_are_exponential(void **state)
{
    static double distances[MANY];
    const double rates[] = {0.5, 1000, 60000};

    (void)state;
    for (size_t r = 0; r < sizeof(rates) / sizeof(*rates); r++) {
        draw(rates[r], 42 + r, distances);
        qsort(distances, MANY, sizeof(*distances), compare);
        for (int i = 0; i < MANY; i++) {
            double expected = -expm1(-distances[i]);
            if (fabs(expected - (i + 0.5) / (double)MANY) > 1.95 / sqrt(MANY))
                fail_msg("%d of %d distances are up to %f of the mean", i, MANY, distances[i]);
        }
    }
}

/* A distance that is long says nothing of the next. */
static void random_distances_know_nothing_of_one_another(void **state)
{
    static double distances[MANY];
    double sum = 0;

    (void)state;
    draw(1000, 42, distances);
    for (int i = 1; i < MANY; i++)
        sum += (distances[i - 1] - 1) * (distances[i] - 1);
    assert_true(fabs(sum / (double)MANY) < 4 / sqrt(MANY));
}

static void the_first_is_not_due_at_once(void **state)
{
    double sum = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 1000; seed++) {
        schedule_begin(&schedule, 1, false, seed, 5);
        assert_true(schedule_next(&schedule) >= 5);
        sum += (double)(schedule_next(&schedule) - 5) / 1e9;
    }
    assert_true(fabs(sum / 1000 - 1) < 0.2);
}

static void the_seed_decides(void **state)
{
    static double one[MANY], same[MANY], other[MANY];

    (void)state;
    draw(1000, 7, one);
    draw(1000, 7, same);
    draw(1000, 8, other);
    assert_memory_equal(one, same, sizeof(one));
    assert_memory_not_equal(one, other, sizeof(one));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(even_distances_are_exact),
        cmocka_unit_test(even_distances_that_are_no_whole_number_do_not_drift),
        cmocka_unit_test(a_rate_can_be_below_1),
        cmocka_unit_test(random_distances_are_exponential),
        cmocka_unit_test(random_distances_know_nothing_of_one_another),
        cmocka_unit_test(the_first_is_not_due_at_once),
        cmocka_unit_test(the_seed_decides),
    };

    return run_chosen(tests);
}
