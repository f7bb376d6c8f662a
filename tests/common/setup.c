/*
 * Test of common/setup.sh, with a PATH of its own: a folder that holds the shell, and the package
 * manager that the test puts there. That one writes down how it was called, and "installs" tools by
 * putting them into the folder.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static struct output output;

/* Puts a program into the folder. */
static void put(const char *name, const char *script)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fprintf(file, "#!/bin/sh\n%s\n", script);
    fclose(file);
    assert_int_equal(chmod(path, 0755), 0);
}

/* A package manager that installs `snorf`, `gnuplot` and `xinetd`, whatever it is asked for. */
static void put_manager(const char *name)
{
    char script[512];

    snprintf(script, sizeof(script),
             "echo \"%s $*\" >>%s/called\n"
             "case \"$*\" in *install*|*-S*|*add*)\n"
             "for tool in snorf gnuplot xinetd; do echo '#!/bin/sh' >%s/$tool; /bin/chmod 755 "
             "%s/$tool; done\n"
             "esac",
             name, folder, folder, folder);
    put(name, script);
}

/* What the package managers were called with, one call a line. */
static void expect_calls(const char *expected)
{
    char path[128], calls[1024] = "";

    snprintf(path, sizeof(path), "%s/called", folder);
    FILE *file = fopen(path, "re");
    if (file) {
        calls[fread(calls, 1, sizeof(calls) - 1, file)] = '\0';
        fclose(file);
    }
    assert_string_equal(calls, expected);
}

static void run_setup(const char *environment, const char *tool)
{
    char path[128];

    snprintf(path, sizeof(path), "PATH=%s", folder);
    output = run("/usr/bin/env", "-i", path, environment, source("common/setup.sh"), tool, NULL);
}

/* Of two tools, each of which the course can do without. */
static void run_optional(const char *environment)
{
    char path[128];

    snprintf(path, sizeof(path), "PATH=%s", folder);
    output = run("/usr/bin/env", "-i", path, environment, source("common/setup.sh"), "--optional",
                 "xinetd", "socat", NULL);
}

static void expect_lines_of_at_most_80_columns_but_commands(void)
{
    for (const char *line = output.out; *line; line += strcspn(line, "\n") + 1)
        if (strncmp(line, "apt-get ", 8) != 0 && strcspn(line, "\n") > 80)
            fail_msg("a long line in \"%s\"", output.out);
}

static void expect_one_line(const char *text)
{
    assert_int_equal(output.status, 1);
    if (!strstr(output.err, text) ||
        strchr(output.err, '\n') != output.err + strlen(output.err) - 1)
        fail_msg("wanted one line with \"%s\", got \"%s\"", text, output.err);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/setup-test-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    put("sh", "exec /bin/sh \"$@\"");
    put("id", "echo 0");
    put("uname", "echo x86_64");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    output_free(&output);
    output = run("/bin/rm", "-r", folder, NULL);
    output_free(&output);
    return 0;
}

static void what_is_there_is_not_installed(void **state)
{
    (void)state;
    put_manager("apt-get");
    put("snorf", "");
    run_setup("X=", "snorf");
    assert_int_equal(output.status, 0);
    assert_string_equal(output.out, "");
    assert_string_equal(output.err, "");
    expect_calls("");
}

static void what_is_missing_is_installed_and_the_command_is_printed(void **state)
{
    (void)state;
    put_manager("apt-get");
    put_manager("apk"); /* apt-get comes first */
    run_setup("X=", "snorf");
    assert_int_equal(output.status, 0);
    assert_non_null(strstr(output.out, "setup: missing: snorf; running: apt-get update && "));
    expect_calls("apt-get update\napt-get install -y --no-install-recommends snorf\n");
}

static void each_package_manager_is_called_in_its_own_words(void **state)
{
    static const struct {
        const char *name, *calls;
    } managers[] = {
        {"apt-get", "apt-get update\napt-get install -y --no-install-recommends gnuplot-nox\n"},
        {"dnf", "dnf install -y gnuplot-minimal\n"},
        {"pacman", "pacman -Sy --noconfirm --needed gnuplot\n"},
        {"apk", "apk add gnuplot\n"},
    };

    for (size_t i = 0; i < sizeof(managers) / sizeof(*managers); i++) {
        if (i > 0) {
            tear_down(state);
            set_up(state);
        }
        put_manager(managers[i].name);
        run_setup("X=", "gnuplot");
        assert_int_equal(output.status, 0);
        expect_calls(managers[i].calls);
    }
}

static void compilers_for_another_c_library_and_for_32_bits_are_packages(void **state)
{
    static const struct {
        const char *tool, *package;
    } compilers[] = {{"musl-gcc", "musl-tools\n"}, {"gcc-multilib", "gcc-multilib\n"}};

    (void)state;
    put_manager("apt-get");
    for (size_t i = 0; i < sizeof(compilers) / sizeof(*compilers); i++) {
        run_setup("DEPS=ask", compilers[i].tool);
        expect_one_line("run this and try again: apt-get update && ");
        assert_non_null(strstr(output.err, compilers[i].package));
        output_free(&output);
    }
    put("cc", "echo x86_64-alpine-linux-musl"); /* here there is no other */
    run_setup("X=", "musl-gcc");
    assert_int_equal(output.status, 0);
    expect_calls("");
}

static void xinetd_comes_without_what_would_start_it_as_a_service(void **state)
{
    (void)state;
    put_manager("apt-get");
    run_setup("SBIN=", "xinetd");
    assert_int_equal(output.status, 0);
    expect_calls(
        "apt-get update\napt-get install -y --no-install-recommends "
        "-o Dpkg::Options::=--path-exclude=/etc/init.d/xinetd "
        "-o Dpkg::Options::=--path-exclude=/lib/systemd/system/xinetd.service "
        "-o Dpkg::Options::=--path-exclude=/usr/lib/systemd/system/xinetd.service xinetd\n");
}

static void a_server_is_found_where_not_every_path_leads(void **state)
{
    char there[80];

    (void)state;
    snprintf(there, sizeof(there), "SBIN=%s/sbin", folder);
    assert_int_equal(mkdir(there + 5, 0755), 0);
    put("sbin/httpd", "");
    run_setup(there, "apache2");
    assert_int_equal(output.status, 0);
    expect_calls("");
}

static void asked_to_ask_it_prints_the_command_and_stops(void **state)
{
    (void)state;
    put_manager("apt-get");
    run_setup("DEPS=ask", "snorf");
    expect_one_line("run this and try again: apt-get update && ");
    expect_calls("");
}

static void without_root_and_sudo_it_prints_the_command_and_stops(void **state)
{
    (void)state;
    put_manager("apt-get");
    put("id", "echo 1000");
    run_setup("X=", "snorf");
    expect_one_line("run this as root and try again: apt-get update && ");
    expect_calls("");
}

static void with_sudo_it_runs_through_sudo(void **state)
{
    (void)state;
    put_manager("apt-get");
    put("id", "echo 1000");
    put("sudo", "[ \"$1\" = -n ] && exit 0\nexec \"$@\"");
    run_setup("X=", "snorf");
    assert_int_equal(output.status, 0);
    assert_non_null(strstr(output.out, "running: sudo sh -c 'apt-get update && "));
    expect_calls("apt-get update\napt-get install -y --no-install-recommends snorf\n");
}

static void a_sudo_that_would_have_to_ask_is_not_called_without_a_terminal(void **state)
{
    (void)state;
    put_manager("apt-get");
    put("id", "echo 1000");
    put("sudo", "exit 1");
    run_setup("X=", "snorf");
    expect_one_line("run this as root and try again: apt-get update && ");
    expect_calls("");
}

static void who_is_asked_is_asked_once_for_all_that_is_missing(void **state)
{
    (void)state;
    put_manager("apt-get");
    put("id", "echo 1000");
    put("gdb", "");
    run_setup("X=", "strace");
    expect_one_line(
        "setup: missing: cc git python3 gnuplot cmocka prove ss nc pgrep man make strace; "
        "run this as root and try again: apt-get update && ");
    output_free(&output);
    run_setup("X=", "valgrind"); /* who needs this may need all that the checks need */
    expect_one_line(" clang ");
    expect_calls("");
}

static void who_is_asked_for_a_tool_alone_is_asked_for_nothing_else(void **state)
{
    char path[128];

    (void)state;
    put_manager("apt-get");
    put("id", "echo 1000");
    snprintf(path, sizeof(path), "PATH=%s", folder);
    output = run("/usr/bin/env", "-i", path, source("common/setup.sh"), "--alone", "clang", NULL);
    expect_one_line("setup: missing: clang; run this as root and try again: apt-get update && ");
    assert_non_null(strstr(output.err, " --no-install-recommends clang\n"));
    expect_calls("");
}

static void as_root_only_what_is_needed_is_installed(void **state)
{
    (void)state;
    put_manager("apt-get");
    run_setup("X=", "gnuplot");
    assert_int_equal(output.status, 0);
    expect_calls("apt-get update\napt-get install -y --no-install-recommends gnuplot-nox\n");
}

static void without_optional_tools_it_goes_on_and_says_so_in_a_sentence(void **state)
{
    (void)state;
    put_manager("apt-get");
    put("id", "echo 1000");
    run_optional("SBIN=");
    assert_int_equal(output.status, 0);
    assert_string_equal(output.out, "");
    assert_string_equal(output.err,
                        "setup: goes on without xinetd socat (optional: see make setup)\n");
    expect_calls("");
    output_free(&output);

    put("id", "echo 0"); /* root is not asked; of socat the manager knows nothing */
    run_optional("SBIN=");
    assert_int_equal(output.status, 0);
    assert_string_equal(output.err, "setup: goes on without socat (optional: see make setup)\n");
    output_free(&output);
    put("socat", "");
    run_optional("SBIN=");
    assert_string_equal(output.err, "");
}

static void the_list_says_what_is_there_and_the_one_line_for_root(void **state)
{
    (void)state;
    put_manager("apt-get");
    put("id", "echo 1000");
    put("git", "");
    put("gdb", "");
    run_setup("X=", "--list");
    assert_int_equal(output.status, 0);
    assert_non_null(strstr(output.out, "there:      git gdb\n"));
    assert_non_null(strstr(output.out, "missing:    cc python3 gnuplot cmocka prove strace ss "));
    assert_non_null(strstr(output.out, "As root:\n\napt-get update && "));
    expect_lines_of_at_most_80_columns_but_commands();
    expect_calls("");
}

static void the_list_is_installed_when_root_asks_for_it(void **state)
{
    static const char *const all[] = {"cc",     "make", "git", "python3", "pkg-config", "prove",
                                      "strace", "gdb",  "ss",  "nc",      "pgrep",      "man"};

    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        put(all[i], "");
    put_manager("apt-get");
    run_setup("X=", "--list");
    assert_int_equal(output.status, 0);
    assert_non_null(strstr(output.out, "missing:    gnuplot\n"));
    expect_calls("apt-get update\napt-get install -y --no-install-recommends gnuplot-nox\n");
    output_free(&output);
    run_setup("X=", "--list");
    assert_non_null(strstr(output.out, "missing:    nothing\n"));
}

static void what_the_package_manager_prints_is_shown_only_when_it_fails(void **state)
{
    (void)state;
    put_manager("apk");
    put("apt-get", "echo Reading; echo Unpacking >&2; exec apk add");
    run_setup("X=", "snorf");
    assert_int_equal(output.status, 0);
    assert_null(strstr(output.out, "Reading"));
    assert_string_equal(output.err, "");
    output_free(&output);

    put("apt-get", "echo Reading; echo 'E: no such package' >&2; exit 100");
    run_setup("X=", "other");
    assert_int_equal(output.status, 1);
    assert_non_null(
        strstr(output.err, "Reading\nE: no such package\nsetup: this failed: apt-get "));
}

static void without_a_package_manager_it_names_what_is_missing(void **state)
{
    (void)state;
    run_setup("X=", "snorf");
    expect_one_line("setup: missing: snorf; no package manager that I know");
}

static void a_failing_package_manager_is_one_clear_line(void **state)
{
    (void)state;
    put("apt-get", "exit 100");
    run_setup("X=", "snorf");
    expect_one_line("setup: this failed: apt-get update && ");
}

static void a_tool_that_is_still_missing_is_one_clear_line(void **state)
{
    (void)state;
    put("apt-get", "");
    run_setup("X=", "snorf");
    expect_one_line("setup: snorf is still missing after: apt-get update && ");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_there_is_not_installed),
        TEST(what_is_missing_is_installed_and_the_command_is_printed),
        TEST(each_package_manager_is_called_in_its_own_words),
        TEST(compilers_for_another_c_library_and_for_32_bits_are_packages),
        TEST(xinetd_comes_without_what_would_start_it_as_a_service),
        TEST(a_server_is_found_where_not_every_path_leads),
        TEST(asked_to_ask_it_prints_the_command_and_stops),
        TEST(without_root_and_sudo_it_prints_the_command_and_stops),
        TEST(with_sudo_it_runs_through_sudo),
        TEST(a_sudo_that_would_have_to_ask_is_not_called_without_a_terminal),
        TEST(who_is_asked_is_asked_once_for_all_that_is_missing),
        TEST(who_is_asked_for_a_tool_alone_is_asked_for_nothing_else),
        TEST(as_root_only_what_is_needed_is_installed),
        TEST(without_optional_tools_it_goes_on_and_says_so_in_a_sentence),
        TEST(the_list_says_what_is_there_and_the_one_line_for_root),
        TEST(the_list_is_installed_when_root_asks_for_it),
        TEST(what_the_package_manager_prints_is_shown_only_when_it_fails),
        TEST(without_a_package_manager_it_names_what_is_missing),
        TEST(a_failing_package_manager_is_one_clear_line),
        TEST(a_tool_that_is_still_missing_is_one_clear_line),
    };

    return run_chosen(tests);
}
