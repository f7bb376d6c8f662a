/* Unit test of common/output.c, each test in a process of its own. What the programs make of it is
 * in the tests of each: expect_sound_output. */
#include "support.h"

#include "output.h"
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static char errors[4096]; /* what the process has said on stderr */

/* Runs `act` in a child that exits with 0 when it returns. Returns the status of the child. */
static int in_child(void (*act)(void))
{
    int file = memfd_create("errors", MFD_CLOEXEC), status;

    assert_true(file != -1);
    fflush(NULL); /* or the child would say it again */
    pid_t child = fork_child();
    assert_true(child != -1);
    if (child == 0) {
        dup2(file, STDERR_FILENO);
        dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
        act();
        exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    memset(errors, 0, sizeof(errors));
    assert_true(pread(file, errors, sizeof(errors) - 1, 0) >= 0);
    close(file);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* ---- standard descriptors ---- */

static void begin_without_standard_descriptors(void)
{
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        close(fd);
    output_begin();
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) == -1 || (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDWR)
            _exit(4);
}

static int closed; /* by begin_without_one */

static void begin_without_one(void)
{
    int before = descriptors_of(getpid());

    close(closed);
    output_begin();
    if (fcntl(closed, F_GETFD) == -1)
        _exit(4);
    if (descriptors_of(getpid()) != before)
        _exit(5);
}

static void begin_as_usual(void)
{
    int before = descriptors_of(getpid());

    output_begin();
    if (descriptors_of(getpid()) != before)
        _exit(5);
}

static void descriptors_0_to_2_are_open_afterwards(void **state)
{
    (void)state;
    assert_int_equal(in_child(begin_without_standard_descriptors), 0);
    for (closed = 0; closed <= STDERR_FILENO; closed++)
        assert_int_equal(in_child(begin_without_one), 0);
}

static void no_other_descriptor_is_left_open(void **state)
{
    (void)state;
    assert_int_equal(in_child(begin_as_usual), 0);
}

/* ---- output that is lost ---- */

static void use_a_full_disk(void)
{
    dup2(open("/dev/full", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
    output_begin();
}

static void print_to_a_full_disk(void)
{
    use_a_full_disk();
    printf("something");
}

static void what_cannot_be_written_at_the_end_is_told(void **state)
{
    (void)state;
    assert_int_equal(in_child(print_to_a_full_disk), 1);
    assert_non_null(strstr(errors, ": stdout: No space left on device\n"));
}

static void print_nothing_to_a_full_disk(void)
{
    use_a_full_disk();
}

static void who_prints_nothing_loses_nothing(void **state)
{
    (void)state;
    assert_int_equal(in_child(print_nothing_to_a_full_disk), 0);
    assert_string_equal(errors, "");
}

/* What cannot be written is dropped, and flushing at the end finds nothing. */
static void print_lines_to_a_full_disk(void)
{
    use_a_full_disk();
    setvbuf(stdout, NULL, _IONBF, 0);
    puts("something");
    errno = 0;
}

static void what_could_not_be_written_before_is_told_too(void **state)
{
    (void)state;
    assert_int_equal(in_child(print_lines_to_a_full_disk), 1);
    assert_non_null(strstr(errors, ": stdout: not all of it could be written\n"));
}

static void check_a_full_disk(void)
{
    use_a_full_disk();
    setvbuf(stdout, NULL, _IONBF, 0);
    puts("something");
    output_check();
    _exit(0);
}

static void a_check_ends_the_program_and_the_reason_is_told_once(void **state)
{
    (void)state;
    assert_int_equal(in_child(check_a_full_disk), 1);
    const char *line = strstr(errors, ": stdout: ");
    assert_non_null(line);
    assert_string_equal(line, ": stdout: No space left on device\n"); /* and no more */
}

static void print_to_nobody(void)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) == -1 || dup2(ends[1], STDOUT_FILENO) == -1)
        _exit(4);
    close(ends[0]);
    close(ends[1]);
    signal(SIGPIPE, SIG_DFL);
    setvbuf(stdout, NULL, _IOFBF, BUFSIZ); /* the fault shows at the end only */
    output_begin();
    puts("something");
}

static void output_that_nobody_reads_is_an_error_and_no_signal(void **state)
{
    (void)state;
    assert_int_equal(in_child(print_to_nobody), 1);
    assert_non_null(strstr(errors, ": stdout: Broken pipe\n"));
}

/* The child's status tells its parent; the line is the parent's. */
static void let_a_child_print_to_a_full_disk(void)
{
    int status;

    use_a_full_disk();
    pid_t child = fork();
    if (child == 0) {
        puts("something");
        exit(0);
    }
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
        _exit(4);
    _exit(WEXITSTATUS(status) == 1 ? 6 : 5);
}

static void a_child_loses_its_output_without_a_word(void **state)
{
    (void)state;
    assert_int_equal(in_child(let_a_child_print_to_a_full_disk), 6);
    assert_string_equal(errors, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptors_0_to_2_are_open_afterwards),
        cmocka_unit_test(no_other_descriptor_is_left_open),
        cmocka_unit_test(what_cannot_be_written_at_the_end_is_told),
        cmocka_unit_test(who_prints_nothing_loses_nothing),
        cmocka_unit_test(what_could_not_be_written_before_is_told_too),
        cmocka_unit_test(a_check_ends_the_program_and_the_reason_is_told_once),
        cmocka_unit_test(output_that_nobody_reads_is_an_error_and_no_signal),
        cmocka_unit_test(a_child_loses_its_output_without_a_word),
    };

    return run_chosen(tests);
}
