/* Unit test of common/load/cputime.c. Times are compared with what the processes' own clocks say,
 * in proportions so wide that no machine is too slow or too busy. */
#include "support.h"

#include "cputime.h"
#include "process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BURN_MS = 100 };

static bool no_directory, out_of_memory;

DIR *__real_opendir(const char *path);
DIR *__wrap_opendir(const char *path);
void *__real_reallocarray(void *memory, size_t count, size_t size);
void *__wrap_reallocarray(void *memory, size_t count, size_t size);

DIR *__wrap_opendir(const char *path)
{
    errno = EMFILE;
    return no_directory ? NULL : __real_opendir(path);
}

void *__wrap_reallocarray(void *memory, size_t count, size_t size)
{
    errno = ENOMEM;
    return out_of_memory ? NULL : __real_reallocarray(memory, count, size);
}

static int64_t own_ns(void)
{
    struct timespec used;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

/* Uses so much CPU time, however long that takes. Returns how much. */
static int64_t burn(void)
{
    int64_t begin = own_ns(), used;

    do
        used = own_ns() - begin;
    while (used < (int64_t)BURN_MS * 1000000);
    return used;
}

static int64_t tree_ns(pid_t root)
{
    int64_t ns = -1;

    assert_int_equal(cputime_tree(root, &ns), 0);
    assert_true(ns >= 0);
    return ns;
}

static int64_t reaped_ns(void)
{
    struct rusage usage;

    getrusage(RUSAGE_CHILDREN, &usage);
    return (int64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000 +
           (int64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

static int channel[2]; /* here a descendant says how much it has burnt */
static pid_t child;

static int set_up(void **state)
{
    (void)state;
    child = 0;
    return pipe2(channel, O_CLOEXEC);
}

static int tear_down(void **state)
{
    (void)state;
    if (child > 0) {
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    close(channel[0]);
    close(channel[1]);
    return 0;
}

static _Noreturn void wait_for_ever(void)
{
    for (;;)
        pause();
}

/* Burns in a descendant, and says how much. */
static void burn_and_tell(void)
{
    int64_t used = burn();

    if (write(channel[1], &used, sizeof(used)) != sizeof(used))
        _exit(1);
}

static int64_t told_ns(void)
{
    int64_t used;

    close(channel[1]); /* if they die this test does not wait for them */
    channel[1] = -1;
    assert_int_equal(read(channel[0], &used, sizeof(used)), sizeof(used));
    return used;
}

static void the_process_itself_is_counted(void **state)
{
    (void)state;
    int64_t before = tree_ns(getpid());
    int64_t used = burn();
    assert_true(tree_ns(getpid()) - before >= used / 2);
}

static void no_more_than_was_used_is_counted(void **state)
{
    (void)state;
    burn();
    int64_t counted = tree_ns(getpid());
    assert_true(counted <= 2 * (own_ns() + reaped_ns()));
}

static void a_child_that_was_waited_for_is_counted(void **state)
{
    (void)state;
    int64_t before = tree_ns(getpid()), reaped_before = reaped_ns();
    pid_t burner = fork_child();
    assert_true(burner != -1);
    if (burner == 0) {
        burn();
        _exit(0);
    }
    assert_int_equal(waitpid(burner, NULL, 0), burner);
    assert_true(tree_ns(getpid()) - before >= (reaped_ns() - reaped_before) / 2);
}

static bool is_zombie(void *pid)
{
    return process_state(*(pid_t *)pid) == 'Z';
}

static void a_child_that_ended_and_was_not_yet_waited_for_is_counted(void **state)
{
    (void)state;
    int64_t before = tree_ns(getpid());
    child = fork_child();
    assert_true(child != -1);
    if (child == 0) {
        burn_and_tell();
        _exit(0);
    }
    int64_t used = told_ns();
    assert_true(wait_until(is_zombie, &child));
    assert_true(tree_ns(getpid()) - before >= used / 2);
}

static void a_living_child_is_counted(void **state)
{
    (void)state;
    int64_t before = tree_ns(getpid());
    child = fork_child();
    assert_true(child != -1);
    if (child == 0) {
        burn_and_tell();
        wait_for_ever();
    }
    int64_t used = told_ns();
    assert_true(tree_ns(getpid()) - before >= used / 2);
    assert_true(tree_ns(child) >= used / 2);
}

static void a_living_grandchild_is_counted(void **state)
{
    (void)state;
    int64_t before = tree_ns(getpid());
    child = fork_child();
    assert_true(child != -1);
    if (child == 0) {
        if (fork_child() == 0)
            burn_and_tell();
        wait_for_ever();
    }
    int64_t used = told_ns();
    assert_true(tree_ns(getpid()) - before >= used / 2);
    assert_true(tree_ns(child) >= used / 2);
}

static void a_grandchild_that_its_parent_waited_for_is_counted(void **state)
{
    (void)state;
    int64_t before = tree_ns(getpid());
    child = fork_child();
    assert_true(child != -1);
    if (child == 0) {
        pid_t grandchild = fork_child();
        if (grandchild == 0) {
            burn();
            _exit(0);
        }
        waitpid(grandchild, NULL, 0);
        int64_t used = reaped_ns();
        if (write(channel[1], &used, sizeof(used)) != sizeof(used))
            _exit(1);
        wait_for_ever();
    }
    int64_t used = told_ns();
    assert_true(tree_ns(getpid()) - before >= used / 2);
    assert_true(tree_ns(child) >= used / 2);
}

static void siblings_and_parents_are_not_counted(void **state)
{
    (void)state;
    child = fork_child();
    assert_true(child != -1);
    if (child == 0)
        wait_for_ever();
    int64_t before = tree_ns(child);
    int64_t used = burn();
    pid_t sibling = fork_child();
    assert_true(sibling != -1);
    if (sibling == 0) {
        burn();
        _exit(0);
    }
    assert_int_equal(waitpid(sibling, NULL, 0), sibling);
    assert_true(tree_ns(child) - before < used);
}

static void a_name_that_looks_like_the_fields_behind_it_is_no_trap(void **state)
{
    char name[16];

    (void)state;
    prctl(PR_GET_NAME, name);
    prctl(PR_SET_NAME, "a) R 1 (b) S 2");
    int64_t before = tree_ns(getpid());
    int64_t used = burn();
    int64_t after = tree_ns(getpid());
    prctl(PR_SET_NAME, name);
    assert_true(after - before >= used / 2);
}

static void a_process_that_is_not_there_is_an_error(void **state)
{
    int64_t ns;

    (void)state;
    errno = 0;
    assert_int_equal(cputime_tree(INT32_MAX, &ns), -1); /* above any pid_max */
    assert_int_equal(errno, ESRCH);
    errno = 0;
    assert_int_equal(cputime_tree(0, &ns), -1);
    assert_int_equal(errno, ESRCH);
}

static void measuring_leaves_nothing_open(void **state)
{
    (void)state;
    int before = descriptors_of(getpid());
    int64_t ns;
    tree_ns(getpid());
    cputime_tree(INT32_MAX, &ns);
    assert_int_equal(descriptors_of(getpid()), before);
}

static void what_cannot_be_read_is_an_error_and_leaves_nothing_open(void **state)
{
    int64_t ns;
    int before = descriptors_of(getpid());

    (void)state;
    no_directory = true;
    int result = cputime_tree(getpid(), &ns), error = errno;
    no_directory = false;
    assert_int_equal(result, -1);
    assert_int_equal(error, EMFILE);

    out_of_memory = true;
    result = cputime_tree(getpid(), &ns), error = errno;
    out_of_memory = false;
    assert_int_equal(result, -1);
    assert_int_equal(error, ENOMEM);
    assert_int_equal(descriptors_of(getpid()), before);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_process_itself_is_counted),
        TEST(no_more_than_was_used_is_counted),
        TEST(a_child_that_was_waited_for_is_counted),
        TEST(a_child_that_ended_and_was_not_yet_waited_for_is_counted),
        TEST(a_living_child_is_counted),
        TEST(a_living_grandchild_is_counted),
        TEST(a_grandchild_that_its_parent_waited_for_is_counted),
        TEST(siblings_and_parents_are_not_counted),
        TEST(a_name_that_looks_like_the_fields_behind_it_is_no_trap),
        TEST(a_process_that_is_not_there_is_an_error),
        TEST(measuring_leaves_nothing_open),
        TEST(what_cannot_be_read_is_an_error_and_leaves_nothing_open),
    };

    return run_chosen(tests);
}
