/* Test of common/terminal.c: lines that fit, on pseudo-terminals and on what is none. */
#include "support.h"

#include "terminal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int no_columns(void **state)
{
    (void)state;
    return unsetenv("COLUMNS");
}

static int open_terminal(int columns)
{
    const struct winsize size = {.ws_row = 24, .ws_col = (unsigned short)columns};
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);

    assert_true(terminal != -1);
    assert_int_equal(ioctl(terminal, TIOCSWINSZ, &size), 0);
    return terminal;
}

static void the_width_is_what_the_terminal_says(void **state)
{
    (void)state;
    for (int columns = 60; columns <= 200; columns += 70) {
        int terminal = open_terminal(columns);
        assert_int_equal(terminal_width(terminal), columns);
        close(terminal);
    }
}

static void columns_says_it_instead(void **state)
{
    (void)state;
    int terminal = open_terminal(120);
    setenv("COLUMNS", "90", 1);
    assert_int_equal(terminal_width(terminal), 90);
    static const char *const no_number[] = {"", "0", "-5", "wide", "80x", "99999999999999999999"};
    for (size_t i = 0; i < sizeof(no_number) / sizeof(*no_number); i++) {
        setenv("COLUMNS", no_number[i], 1);
        assert_int_equal(terminal_width(terminal), 120);
    }
    close(terminal);
}

static void without_a_terminal_it_is_80(void **state)
{
    (void)state;
    int file = open("/dev/null", O_WRONLY);
    assert_int_equal(terminal_width(file), 80);
    close(file);
    int terminal = open_terminal(0); /* one that does not know */
    assert_int_equal(terminal_width(terminal), 80);
    close(terminal);
}

/* What is printed of a text where there are so many columns. */
static void expect(const char *columns, const char *text, const char *expected)
{
    char *printed;
    size_t size;

    setenv("COLUMNS", columns, 1);
    FILE *out = open_memstream(&printed, &size);
    assert_non_null(out);
    print_wrapped(out, text);
    fclose(out);
    assert_string_equal(printed, expected);
    free(printed);
}

static void a_line_ends_between_words(void **state)
{
    (void)state;
    expect("20", "12345 789 12345 7890", "12345 789 12345 7890\n");
    expect("20", "12345 789 12345 78901", "12345 789 12345\n  78901\n");
    expect("20", "  12345 789 12345 7890 2345 78901 3",
           "  12345 789 12345\n    7890 2345 78901\n    3\n");
    expect("20", "", "\n");
    expect("20", "  ", "  \n");
}

static void a_word_is_never_broken(void **state)
{
    (void)state;
    expect("10", "/a/path/that/is/long", "/a/path/that/is/long\n");
    expect("10", "to /a/path/that/is/long or", "to\n  /a/path/that/is/long\n  or\n");
}

static void a_name_stays_with_its_number(void **state)
{
    (void)state;
    expect("12", "p50" NO_BREAK "1, max" NO_BREAK "2", "p50 1, max 2\n");
    expect("11", "p50" NO_BREAK "1, max" NO_BREAK "2", "p50 1,\n  max 2\n");
    expect("5", "µ" NO_BREAK "ends" NO_BREAK, "µ ends \n");
}

static void characters_are_counted_and_not_bytes(void **state)
{
    (void)state;
    expect("10", "12 µµµ ≈≈≈", "12 µµµ ≈≈≈\n");
    expect("9", "12 µµµ ≈≈≈", "12 µµµ\n  ≈≈≈\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_width_is_what_the_terminal_says, no_columns),
        cmocka_unit_test_setup(columns_says_it_instead, no_columns),
        cmocka_unit_test_setup(without_a_terminal_it_is_80, no_columns),
        cmocka_unit_test(a_line_ends_between_words),
        cmocka_unit_test(a_word_is_never_broken),
        cmocka_unit_test(a_name_stays_with_its_number),
        cmocka_unit_test(characters_are_counted_and_not_bytes),
    };

    return run_chosen(tests);
}
