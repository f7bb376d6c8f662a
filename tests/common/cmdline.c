/* Unit test of common/cmdline.c: command lines without mistakes. What the servers answer to a
 * mistake is part of their contract (tests/servers). */
#include "support.h"

#include "cmdline.h"
#include "listener.h"
#include "process.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- command lines ---- */

/* Parses "server" with these arguments; NULL ends them. */
static struct cmdline parse(int has_program, ...)
{
    static char *arguments[16] = {"server"};
    va_list rest;
    int count = 1;

    va_start(rest, has_program);
    while ((arguments[count] = va_arg(rest, char *)) != NULL)
        assert_true(++count < 16);
    va_end(rest);
    optind = 0; /* glibc's getopt begins anew */
    return cmdline_parse(count, arguments, has_program);
}

static void without_arguments_the_defaults_hold(void **state)
{
    (void)state;
    struct cmdline cmdline = parse(false, NULL);
    assert_string_equal(cmdline.address, "127.0.0.1");
    assert_int_equal(cmdline.port, 8083);
    assert_int_equal(cmdline.workers, 8);
    assert_false(cmdline.verbose);
    assert_null(cmdline.program);
}

static void every_option_is_read(void **state)
{
    (void)state;
    struct cmdline cmdline =
        parse(true, "-a", "192.0.2.7", "-p", "80", "-v", "-w", "/some/worker", "12", NULL);
    assert_string_equal(cmdline.address, "192.0.2.7");
    assert_int_equal(cmdline.port, 80);
    assert_true(cmdline.verbose);
    assert_string_equal(cmdline.program, "/some/worker");
    assert_int_equal(cmdline.start_ms, 10000);
    assert_int_equal(parse(true, "-s", "120", NULL).start_ms, 120000);
    assert_int_equal(cmdline.workers, 12);
}

static void the_number_of_workers_may_come_before_the_options(void **state)
{
    (void)state;
    struct cmdline cmdline = parse(false, "3", "-v", "-p0", NULL);
    assert_int_equal(cmdline.workers, 3);
    assert_int_equal(cmdline.port, 0);
    assert_true(cmdline.verbose);
}

static void ipv6_addresses_are_taken(void **state)
{
    (void)state;
    assert_string_equal(parse(false, "-a", "::1", NULL).address, "::1");
    assert_string_equal(parse(false, "-a", "::", NULL).address, "::");
}

static void the_bounds_of_port_and_workers_are_taken(void **state)
{
    (void)state;
    assert_int_equal(parse(false, "-p", "0", NULL).port, 0);
    assert_int_equal(parse(false, "-p", "65535", NULL).port, 65535);
    assert_int_equal(parse(false, "1", NULL).workers, 1);
    assert_int_equal(parse(false, "100000", NULL).workers, WORKERS_MAX);
}

static void of_two_equal_options_the_last_one_holds(void **state)
{
    (void)state;
    assert_int_equal(parse(false, "-p", "1", "-p", "2", NULL).port, 2);
}

/* ---- options of one server ---- */

static struct cmdline_option own[] = {
    {.letter = 'm',
     .argument = "MODE",
     .help = "  -m MODE     the first or the second (first)\n",
     .values = (const char *const[]){"first", "second", NULL}},
    {.letter = 'f', .argument = "FILE", .help = "  -f FILE     a file\n"},
    {0},
};

/* Parses "server" with an option and its argument. */
static struct cmdline parse_own(const char *option, const char *argument)
{
    char *arguments[] = {"server", (char *)option, (char *)argument, "5", NULL};

    own[0].value = "first";
    own[1].value = NULL;
    optind = 0;
    return cmdline_parse_with(4, arguments, own);
}

static void options_of_one_server_are_read_beside_those_of_all(void **state)
{
    (void)state;
    assert_int_equal(parse_own("-m", "second").workers, 5);
    assert_string_equal(own[0].value, "second");
    assert_null(own[1].value);
    assert_int_equal(parse_own("-f", "any thing").workers, 5);
    assert_string_equal(own[0].value, "first");
    assert_string_equal(own[1].value, "any thing");
    assert_int_equal(parse_own("-p", "7").port, 7);
}

/* ---- what needs a process of its own ---- */

static char said[4096]; /* by the process, on stdout */

/* Runs `act` in a child whose stdout is a file. Returns the status with which it ended. */
static int in_child(void (*act)(void))
{
    int out = memfd_create("out", MFD_CLOEXEC), status;

    assert_true(out != -1);
    fflush(NULL); /* or the child would say it again */
    pid_t child = fork_child();
    assert_true(child != -1);
    if (child == 0) {
        dup2(out, STDOUT_FILENO);
        dup2(out, STDERR_FILENO);
        act();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    memset(said, 0, sizeof(said));
    assert_true(pread(out, said, sizeof(said) - 1, 0) >= 0);
    close(out);
    return status;
}

static void ask_for_help(void)
{
    parse(false, "-h", NULL);
    _exit(3);
}

static void ask_for_help_with_program(void)
{
    parse(true, "-h", NULL);
    _exit(3);
}

static void help_is_printed_and_ends_well(void **state)
{
    (void)state;
    assert_int_equal(in_child(ask_for_help), 0);
    assert_non_null(strstr(said, "[-a ADDR] [-p PORT] [-v] [WORKERS]\n"));
    assert_null(strstr(said, "-w"));
}

static void help_names_the_program_where_there_is_one(void **state)
{
    (void)state;
    assert_int_equal(in_child(ask_for_help_with_program), 0);
    assert_non_null(strstr(said, "[-a ADDR] [-p PORT] [-v] [-w PROGRAM] [-s SECONDS] [WORKERS]\n"));
}

static void give_a_third_value(void)
{
    parse_own("-m", "third");
    _exit(3);
}

static void an_argument_that_is_none_of_the_values_is_a_mistake_that_lists_them(void **state)
{
    (void)state;
    int status = in_child(give_a_third_value);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 2);
    assert_non_null(strstr(said, ": -m third: not one of first, second\nusage: "));
    assert_non_null(strstr(said, " [-v] [-m MODE] [-f FILE] [WORKERS]\n"));
    assert_non_null(strstr(said, "\n  -m MODE     the first or the second (first)\n"));
}

static const char *start_time;

static void give_a_start_time(void)
{
    parse(true, "-s", start_time, NULL);
    _exit(3);
}

static void a_start_time_that_is_none_is_a_mistake(void **state)
{
    const char *wrong[] = {"0", "-1", "86401", "soon", "1s", ""};
    char line[64];

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        start_time = wrong[i];
        int status = in_child(give_a_start_time);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 2);
        snprintf(line, sizeof(line), ": -s %s: not a number from 1 to 86400\nusage: ", wrong[i]);
        assert_non_null(strstr(said, line));
    }
}

static void give_a_program_to_a_server_without(void)
{
    parse(false, "-w", "/some/worker", NULL);
    _exit(3);
}

static void a_server_without_program_knows_no_option_for_it(void **state)
{
    (void)state;
    int status = in_child(give_a_program_to_a_server_without);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 2);
    assert_non_null(strstr(said, "usage: "));
}

/* ---- the announcement ---- */

static struct cmdline announced;
static int listener;

static void announce(void)
{
    cmdline_announce(&announced, listener);
}

static void announce_to_a_full_disk(void)
{
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

    dup2(full, STDOUT_FILENO);
    cmdline_announce(&announced, listener);
}

static void the_announcement_names_address_port_and_workers(void **state)
{
    char expected[256], name[SOCKET_NAME_MAX];

    (void)state;
    listener = listener_open("127.0.0.1", 0);
    assert_true(listener != -1);
    local_name(listener, name);
    announced = (struct cmdline){.workers = 8};
    assert_int_equal(in_child(announce), 0); /* _exit flushes nothing: cmdline_announce has */
    snprintf(expected, sizeof(expected), "listening on %s, 8 workers\n", name);
    assert_string_equal(said, expected);
    announced.workers = 1;
    assert_int_equal(in_child(announce), 0);
    snprintf(expected, sizeof(expected), "listening on %s, 1 worker\n", name);
    assert_string_equal(said, expected);
    close(listener);
}

static void an_announcement_that_cannot_be_made_ends_the_program(void **state)
{
    (void)state;
    listener = listener_open("127.0.0.1", 0);
    assert_true(listener != -1);
    announced = (struct cmdline){.workers = 8};
    int status = in_child(announce_to_a_full_disk);
    close(listener);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_non_null(strstr(said, "stdout: No space left on device"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_arguments_the_defaults_hold),
        cmocka_unit_test(every_option_is_read),
        cmocka_unit_test(the_number_of_workers_may_come_before_the_options),
        cmocka_unit_test(ipv6_addresses_are_taken),
        cmocka_unit_test(the_bounds_of_port_and_workers_are_taken),
        cmocka_unit_test(of_two_equal_options_the_last_one_holds),
        cmocka_unit_test(help_is_printed_and_ends_well),
        cmocka_unit_test(help_names_the_program_where_there_is_one),
        cmocka_unit_test(options_of_one_server_are_read_beside_those_of_all),
        cmocka_unit_test(an_argument_that_is_none_of_the_values_is_a_mistake_that_lists_them),
        cmocka_unit_test(a_start_time_that_is_none_is_a_mistake),
        cmocka_unit_test(a_server_without_program_knows_no_option_for_it),
        cmocka_unit_test(the_announcement_names_address_port_and_workers),
        cmocka_unit_test(an_announcement_that_cannot_be_made_ends_the_program),
    };

    return run_chosen(tests);
}
