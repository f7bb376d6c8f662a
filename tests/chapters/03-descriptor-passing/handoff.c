/* Test of chapter 3's handoff: what the two processes say, line by line. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct output output;

static int tear_down(void **state)
{
    (void)state;
    output_free(&output);
    return 0;
}

/* Runs the program with an argument, or none when it is NULL. */
static void handoff(const char *argument)
{
    output = run(built("chapters/03-descriptor-passing/handoff"), argument, NULL);
}

/* Runs the program on a file of this content. */
static void handoff_file(const void *content, size_t size)
{
    char path[] = "/tmp/handoff-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd != -1);
    ssize_t written = write(fd, content, size);
    close(fd);
    handoff(path);
    unlink(path);
    assert_int_equal(written, size);
}

/* Checks the lines about the file: what each side reads, and the offset that they share. */
static void expect_file(const char *giver_reads, const char *taker_reads, int offset)
{
    int giver = -1, handed = -1, taker = -1;
    char expected[1024];

    assert_int_equal(output.status, 0);
    assert_string_equal(output.err, "");
    assert_int_equal(sscanf(output.out,
                            "giver  reads %*d bytes from descriptor %d,%*[^\n]\n"
                            "giver  hands over descriptor %d,%*[^\n]\n"
                            "taker  reads %*d bytes from descriptor %d,",
                            &giver, &handed, &taker),
                     3);
    assert_true(giver > 2);
    assert_true(taker > 2);
    assert_int_not_equal(giver, taker);
    snprintf(expected, sizeof(expected),
             "giver  reads %zu bytes from descriptor %d, the file: \"%s\"\n"
             "giver  hands over descriptor %d, the file\n"
             "taker  reads %zu bytes from descriptor %d, the file: \"%s\"\n"
             "giver  finds its offset at %d: one open file description, two descriptors\n",
             strlen(giver_reads), giver, giver_reads, giver, strlen(taker_reads), taker,
             taker_reads, offset);
    assert_memory_equal(output.out, expected, strlen(expected));
}

static void the_taker_moves_the_giver_s_offset_to_32(void **state)
{
    (void)state;
    handoff(NULL);
    expect_file("the giver's part", " and the taker's", 32);
}

static void the_taker_reads_from_a_connection_that_it_never_accepted(void **state)
{
    int giver, taker, length = 0;

    (void)state;
    handoff(NULL);
    assert_int_equal(output.status, 0);
    const char *rest = strstr(output.out, "two descriptors\n");
    assert_non_null(rest);
    rest += strlen("two descriptors\n");
    assert_int_equal(sscanf(rest,
                            "giver  hands over descriptor %d, the connection\n"
                            "taker  reads 16 bytes from descriptor %d, "
                            "the connection: \"from the network\"\n%n",
                            &giver, &taker, &length),
                     2);
    assert_int_not_equal(giver, taker);
    assert_true(length > 0);
    assert_string_equal(rest + length, "taker  sees end-of-file on the channel and ends\n");
}

static void a_file_of_the_reader_s_is_handed_over(void **state)
{
    (void)state;
    handoff_file("sixteen for one,sixteen for two,and a rest", 42);
    expect_file("sixteen for one,", "sixteen for two,", 32);
}

static void a_short_file_leaves_the_taker_what_is_left(void **state)
{
    (void)state;
    handoff_file("twenty bytes of text", 20);
    expect_file("twenty bytes of ", "text", 20);
}

static void an_empty_file_can_be_handed_over(void **state)
{
    (void)state;
    handoff_file("", 0);
    expect_file("", "", 0);
}

static void bytes_that_do_not_print_are_shown_as_dots(void **state)
{
    (void)state;
    handoff_file("a\0\n\x1b\x7f\xff~ b23456789", 17);
    expect_file("a.....~ b2345678", "9", 17);
}

static void a_missing_file_is_an_error(void **state)
{
    (void)state;
    handoff("/nonexistent/file");
    assert_int_equal(output.status, 1);
    assert_string_equal(output.err, "handoff: /nonexistent/file: No such file or directory\n");
}

static void a_directory_is_an_error(void **state)
{
    (void)state;
    handoff("/");
    assert_int_equal(output.status, 1);
    assert_non_null(strstr(output.err, "Is a directory"));
}

static void an_option_is_answered_with_the_usage(void **state)
{
    (void)state;
    handoff("-x");
    assert_int_equal(output.status, 2);
    assert_string_equal(output.out, "");
    assert_non_null(strstr(output.err, "invalid option -- 'x'\nusage: handoff [FILE]\n"));
}

static void help_is_printed_on_stdout(void **state)
{
    (void)state;
    handoff("-h");
    assert_int_equal(output.status, 0);
    assert_string_equal(output.out, "usage: handoff [FILE]\n");
    assert_string_equal(output.err, "");
}

static void two_files_are_answered_with_the_usage(void **state)
{
    (void)state;
    output = run(built("chapters/03-descriptor-passing/handoff"), "one", "two", NULL);
    assert_int_equal(output.status, 2);
    assert_string_equal(output.out, "");
    assert_string_equal(output.err, "handoff: two: one argument too many\nusage: handoff [FILE]\n");
}

static void a_process_that_can_open_too_little_says_so(void **state)
{
    const char *handoff = built("chapters/03-descriptor-passing/handoff");

    (void)state;
    expect_error_at_limit(4, "socketpair: Too many open files", handoff, NULL);
    expect_error_at_limit(5, "connection: Too many open files", handoff, NULL);
}

static void no_standard_descriptor_is_taken_for_another(void **state)
{
    (void)state;
    expect_sound_output("giver  reads 16 bytes from descriptor ",
                        built("chapters/03-descriptor-passing/handoff"), NULL);
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_taker_moves_the_giver_s_offset_to_32),
        TEST(the_taker_reads_from_a_connection_that_it_never_accepted),
        TEST(a_file_of_the_reader_s_is_handed_over),
        TEST(a_short_file_leaves_the_taker_what_is_left),
        TEST(an_empty_file_can_be_handed_over),
        TEST(bytes_that_do_not_print_are_shown_as_dots),
        TEST(a_missing_file_is_an_error),
        TEST(a_directory_is_an_error),
        TEST(an_option_is_answered_with_the_usage),
        TEST(help_is_printed_on_stdout),
        TEST(two_files_are_answered_with_the_usage),
        TEST(a_process_that_can_open_too_little_says_so),
        TEST(no_standard_descriptor_is_taken_for_another),
    };

    return run_chosen(tests);
}
