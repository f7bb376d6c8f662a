/* Unit test of common/load/samples.c. */
#include "support.h"

#include "samples.h"

#include <errno.h>
#include <stdlib.h>

static bool out_of_memory;

void *__real_reallocarray(void *memory, size_t count, size_t size);
void *__wrap_reallocarray(void *memory, size_t count, size_t size);

void *__wrap_reallocarray(void *memory, size_t count, size_t size)
{
    if (out_of_memory) {
        errno = ENOMEM;
        return NULL;
    }
    return __real_reallocarray(memory, count, size);
}

static struct samples samples;

static int set_up(void **state)
{
    (void)state;
    samples = (struct samples){0};
    out_of_memory = false;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    samples_free(&samples);
    return 0;
}

/* Adds 1 to `count`, none in its place. */
static void add_shuffled(int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        assert_int_equal(samples_add(&samples, i * 7 % count + 1), 0); /* 7 divides no count */
}

static void samples_are_kept_in_the_order_of_arrival(void **state)
{
    (void)state;
    assert_int_equal(samples_add(&samples, 3), 0);
    assert_int_equal(samples_add(&samples, 1), 0);
    assert_int_equal(samples_add(&samples, 2), 0);
    assert_int_equal(samples.count, 3);
    assert_int_equal(samples.ns[0], 3);
    assert_int_equal(samples.ns[1], 1);
    assert_int_equal(samples.ns[2], 2);
}

static void many_samples_are_all_kept_and_sorted(void **state)
{
    (void)state;
    add_shuffled(100000);
    assert_int_equal(samples.count, 100000);
    samples_sort(&samples);
    for (int64_t i = 0; i < 100000; i++)
        if (samples.ns[i] != i + 1)
            fail_msg("sample %d is %d", (int)i, (int)samples.ns[i]);
}

static void samples_far_apart_are_sorted(void **state)
{
    const int64_t values[] = {INT64_MAX, 0, INT64_MIN, 1, -1};

    (void)state;
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(samples_add(&samples, values[i]), 0);
    samples_sort(&samples);
    assert_true(samples.ns[0] == INT64_MIN);
    assert_true(samples.ns[1] == -1);
    assert_true(samples.ns[2] == 0);
    assert_true(samples.ns[3] == 1);
    assert_true(samples.ns[4] == INT64_MAX);
}

static void percentiles_are_nearest_ranks(void **state)
{
    (void)state;
    add_shuffled(100);
    samples_sort(&samples);
    for (int percent = 1; percent <= 100; percent++)
        assert_int_equal(samples_percentile(&samples, percent), percent);
    assert_int_equal(samples_percentile(&samples, 50.5), 51);
    assert_int_equal(samples_percentile(&samples, 0), 1);
}

static void percentiles_that_binary_cannot_hold_have_the_right_rank(void **state)
{
    (void)state;
    add_shuffled(1000);
    samples_sort(&samples);
    for (int tenths = 1; tenths <= 1000; tenths++)
        assert_int_equal(samples_percentile(&samples, tenths / 10.0), tenths);
}

static void the_rank_is_rounded_up(void **state)
{
    (void)state;
    add_shuffled(10);
    samples_sort(&samples);
    assert_int_equal(samples_percentile(&samples, 90), 9);
    assert_int_equal(samples_percentile(&samples, 90.1), 10);
    assert_int_equal(samples_percentile(&samples, 99), 10);
    assert_int_equal(samples_percentile(&samples, 99.9), 10);
    assert_int_equal(samples_percentile(&samples, 10), 1);
    assert_int_equal(samples_percentile(&samples, 11), 2);
}

static void one_sample_is_every_percentile(void **state)
{
    (void)state;
    assert_int_equal(samples_add(&samples, 42), 0);
    samples_sort(&samples);
    assert_int_equal(samples_percentile(&samples, 0), 42);
    assert_int_equal(samples_percentile(&samples, 50), 42);
    assert_int_equal(samples_percentile(&samples, 99.9), 42);
    assert_int_equal(samples_percentile(&samples, 100), 42);
}

static void no_samples_have_percentile_0(void **state)
{
    (void)state;
    samples_sort(&samples);
    assert_int_equal(samples_percentile(&samples, 50), 0);
    assert_int_equal(samples_percentile(&samples, 100), 0);
}

static void without_memory_the_others_stay_as_they_were(void **state)
{
    (void)state;
    out_of_memory = true;
    errno = 0;
    assert_int_equal(samples_add(&samples, 1), -1);
    assert_int_equal(errno, ENOMEM);
    assert_int_equal(samples.count, 0);

    out_of_memory = false;
    assert_int_equal(samples_add(&samples, 1), 0);
    out_of_memory = true;
    while (samples.count < samples.room)
        assert_int_equal(samples_add(&samples, (int64_t)samples.count + 1), 0);
    size_t count = samples.count;
    assert_int_equal(samples_add(&samples, -1), -1);
    assert_int_equal(samples.count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(samples.ns[i], i + 1);

    out_of_memory = false;
    assert_int_equal(samples_add(&samples, (int64_t)count + 1), 0);
    assert_int_equal(samples.ns[count], count + 1);
}

static void freed_samples_can_be_used_again(void **state)
{
    (void)state;
    add_shuffled(10);
    samples_free(&samples);
    assert_int_equal(samples.count, 0);
    assert_int_equal(samples_percentile(&samples, 50), 0);
    assert_int_equal(samples_add(&samples, 5), 0);
    assert_int_equal(samples_percentile(&samples, 50), 5);
    samples_free(&samples);
    samples_free(&samples);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(samples_are_kept_in_the_order_of_arrival),
        TEST(many_samples_are_all_kept_and_sorted),
        TEST(samples_far_apart_are_sorted),
        TEST(percentiles_are_nearest_ranks),
        TEST(percentiles_that_binary_cannot_hold_have_the_right_rank),
        TEST(the_rank_is_rounded_up),
        TEST(one_sample_is_every_percentile),
        TEST(no_samples_have_percentile_0),
        TEST(without_memory_the_others_stay_as_they_were),
        TEST(freed_samples_can_be_used_again),
    };

    return run_chosen(tests);
}
