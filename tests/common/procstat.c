/* Unit test of common/procstat.c: what is read of processes that the test has made as it wants
 * them. */
#include "support.h"

#include "procstat.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A child that waits for its end, and has this name. */
static pid_t start_child(const char *name)
{
    pid_t child = fork();

    assert_true(child != -1);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_NAME, name);
        for (;;)
            pause();
    }
    return child;
}

static bool waits(void *pid)
{
    struct procstat stat;

    return procstat_read(*(pid_t *)pid, &stat) && stat.state == 'S';
}

static bool is_dead(void *pid)
{
    struct procstat stat;

    return procstat_read(*(pid_t *)pid, &stat) && stat.state == 'Z';
}

static void a_process_is_read_whatever_its_name(void **state)
{
    static const char *const names[] = {"plain", ") Z 1 1", "(a) b", "new\nline", ")"};
    struct procstat stat;

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        pid_t child = start_child(names[i]);
        assert_true(wait_until(waits, &child));
        assert_true(procstat_read(child, &stat));
        assert_int_equal(stat.parent, getpid());
        assert_int_equal(stat.threads, 1);
        assert_true(stat.pages > 0);
        kill(child, SIGKILL);
        assert_true(wait_until(is_dead, &child));
        assert_true(procstat_read(child, &stat));
        assert_int_equal(stat.pages, 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
    }
}

static void who_has_gone_is_not_read(void **state)
{
    struct procstat stat;
    pid_t child = start_child("gone");

    (void)state;
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_false(procstat_read(child, &stat));
}

static void cpu_time_moves_to_who_has_waited_for_the_process(void **state)
{
    struct procstat before, after;

    (void)state;
    assert_true(procstat_read(getpid(), &before));
    pid_t child = fork();
    assert_true(child != -1);
    if (child == 0) { /* until a tick of its own is counted */
        while (procstat_read(getpid(), &after) && after.ticks < 3)
            continue;
        _exit(0);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_true(procstat_read(getpid(), &after));
    assert_true(after.children_ticks >= before.children_ticks + 3);
    assert_true(after.ticks >= before.ticks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_is_read_whatever_its_name),
        cmocka_unit_test(who_has_gone_is_not_read),
        cmocka_unit_test(cpu_time_moves_to_who_has_waited_for_the_process),
    };

    return run_chosen(tests);
}
