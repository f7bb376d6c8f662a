/* Unit test of common/process.c. */
#include "support.h"

#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int fork_error;  /* what fork fails with; 0 lets it work */
static bool has_orphan; /* to a new child its parent seems to have ended already */

pid_t __real_fork(void);
pid_t __wrap_fork(void);
pid_t __real_getppid(void);
pid_t __wrap_getppid(void);

pid_t __wrap_fork(void)
{
    if (fork_error == 0)
        return __real_fork();
    errno = fork_error;
    return -1;
}

pid_t __wrap_getppid(void)
{
    return has_orphan ? 1 : __real_getppid();
}

static const int used[] = {SIGUSR1, SIGUSR2, SIGTERM, SIGCHLD};
static struct sigaction actions_before[4];
static sigset_t mask_before;
static int signals;

static int set_up(void **state)
{
    (void)state;
    fork_error = 0;
    has_orphan = false;
    signals = -1;
    sigprocmask(SIG_BLOCK, NULL, &mask_before);
    for (size_t i = 0; i < 4; i++)
        sigaction(used[i], NULL, &actions_before[i]);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (signals != -1) {
        while (signals_next(signals) != 0) /* what is pending would arrive below */
            continue;
        close(signals);
    }
    for (size_t i = 0; i < 4; i++)
        sigaction(used[i], &actions_before[i], NULL);
    sigprocmask(SIG_SETMASK, &mask_before, NULL);
    return 0;
}

static bool is_readable(int fd)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};

    return poll(&readable, 1, 0) == 1;
}

static bool is_blocked(int signal_number)
{
    sigset_t mask;

    sigprocmask(SIG_BLOCK, NULL, &mask);
    return sigismember(&mask, signal_number) == 1;
}

static int exit_status(pid_t child)
{
    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ---- signals ---- */

static void a_signal_makes_the_descriptor_readable_and_is_taken_once(void **state)
{
    (void)state;
    signals = signals_open(SIGUSR1, 0);
    assert_true(signals != -1);
    assert_false(is_readable(signals));
    assert_int_equal(signals_next(signals), 0);
    raise(SIGUSR1);
    assert_true(is_readable(signals));
    assert_int_equal(signals_next(signals), SIGUSR1);
    assert_false(is_readable(signals));
    assert_int_equal(signals_next(signals), 0);
}

static void each_signal_of_the_list_is_taken_and_no_other(void **state)
{
    (void)state;
    signals = signals_open(SIGUSR1, SIGTERM, 0);
    assert_true(is_blocked(SIGUSR1));
    assert_true(is_blocked(SIGTERM));
    assert_false(is_blocked(SIGUSR2));
    raise(SIGTERM);
    raise(SIGUSR1);
    int first = signals_next(signals), second = signals_next(signals);
    assert_true((first == SIGTERM && second == SIGUSR1) || (first == SIGUSR1 && second == SIGTERM));
    assert_int_equal(signals_next(signals), 0);
}

static void the_descriptor_is_non_blocking_and_close_on_exec(void **state)
{
    (void)state;
    signals = signals_open(SIGUSR1, 0);
    assert_true(fcntl(signals, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(signals, F_GETFD) & FD_CLOEXEC);
}

static void signals_blocked_before_stay_so(void **state)
{
    sigset_t set;

    (void)state;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signals = signals_open(SIGUSR1, 0);
    assert_true(is_blocked(SIGUSR2));
    assert_true(is_blocked(SIGUSR1));
}

static void a_signal_that_was_ignored_arrives(void **state)
{
    (void)state;
    signal(SIGTERM, SIG_IGN);
    signals = signals_open(SIGTERM, 0);
    raise(SIGTERM);
    assert_int_equal(signals_next(signals), SIGTERM);
}

static bool child_has_ended(void *argument)
{
    (void)argument;
    return signals_next(signals) == SIGCHLD;
}

static void a_child_can_be_waited_for_though_sigchld_was_ignored(void **state)
{
    (void)state;
    signal(SIGCHLD, SIG_IGN);
    signals = signals_open(SIGCHLD, 0);
    pid_t child = fork();
    assert_true(child != -1);
    if (child == 0)
        _exit(7);
    assert_true(wait_until(child_has_ended, NULL));
    assert_int_equal(exit_status(child), 7);
}

static void at_the_limit_of_descriptors_it_fails(void **state)
{
    struct rlimit before, none_left;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int lowest_free = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
    assert_true(lowest_free != -1);
    close(lowest_free);
    none_left = before;
    none_left.rlim_cur = (rlim_t)lowest_free;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none_left), 0);
    int refused = signals_open(SIGUSR1, 0), error = errno;
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(refused, -1);
    assert_int_equal(error, EMFILE);
}

/* ---- children ---- */

static void both_processes_go_on_and_know_which_they_are(void **state)
{
    pid_t self = getpid();

    (void)state;
    pid_t child = fork_child();
    assert_true(child != -1);
    if (child == 0)
        _exit(__real_getppid() == self ? 5 : 1);
    assert_true(child > 0);
    assert_int_equal(exit_status(child), 5);
}

static void nothing_is_blocked_in_the_child_whatever_the_parent_blocked(void **state)
{
    sigset_t all;

    (void)state;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    pid_t child = fork_child();
    assert_true(child != -1);
    if (child == 0) {
        for (int i = 1; i < NSIG; i++)
            if (is_blocked(i))
                _exit(i);
        _exit(0);
    }
    assert_true(is_blocked(SIGUSR1)); /* the parent's mask is as it was */
    assert_true(is_blocked(SIGTERM));
    assert_int_equal(exit_status(child), 0);
}

static void a_failing_fork_is_an_error(void **state)
{
    (void)state;
    fork_error = EAGAIN;
    errno = 0;
    assert_int_equal(fork_child(), -1);
    assert_int_equal(errno, EAGAIN);
}

/* The child of a child tells that it runs, and waits for ever. Returns its pid. */
static pid_t start_grandchild(pid_t *middle)
{
    int ready[2];
    pid_t grandchild;

    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    *middle = fork();
    assert_true(*middle != -1);
    if (*middle == 0) {
        if (fork_child() == 0) {
            pid_t self = getpid();
            if (write(ready[1], &self, sizeof(self)) != sizeof(self))
                _exit(1);
        }
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &grandchild, sizeof(grandchild)), sizeof(grandchild));
    close(ready[0]);
    return grandchild;
}

static bool has_ended(void *pid)
{
    return waitpid(*(pid_t *)pid, NULL, WNOHANG) > 0;
}

static void a_child_dies_with_its_parent_by_kill_9_too(void **state)
{
    const int ends[] = {SIGTERM, SIGKILL};

    (void)state;
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* whose parent dies becomes a child of this test */
    for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
        pid_t middle, grandchild = start_grandchild(&middle);
        kill(middle, ends[i]);
        assert_int_equal(exit_status(middle), 128 + ends[i]);
        bool died = wait_until(has_ended, &grandchild);
        if (!died)
            kill(grandchild, SIGKILL);
        assert_true(died);
    }
    prctl(PR_SET_CHILD_SUBREAPER, 0);
}

static void a_child_whose_parent_ended_before_it_could_ask_ends_as_well(void **state)
{
    (void)state;
    has_orphan = true;
    pid_t child = fork_child();
    assert_true(child != -1);
    if (child == 0)
        _exit(0); /* it should not come here */
    has_orphan = false;
    assert_int_equal(exit_status(child), 128 + SIGKILL);
}

/* ---- the end of children ---- */

enum { LONG_MS = 60000 }; /* grace that no test has to use up */

static void block_sigchld(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

/* Starts a child that sleeps until SIGTERM ends it; or ignores even that. It says when it is there.
 */
static pid_t start_child(bool obstinate)
{
    int there[2];
    char byte;

    assert_int_equal(pipe2(there, O_CLOEXEC), 0);
    pid_t child = fork_child();
    assert_true(child != -1);
    if (child == 0) {
        if (obstinate)
            signal(SIGTERM, SIG_IGN);
        prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY); /* where Yama lets only ancestors trace */
        if (write(there[1], "!", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(there[1]);
    assert_int_equal(read(there[0], &byte, 1), 1);
    close(there[0]);
    return child;
}

static void expect_reaped(pid_t child)
{
    assert_int_equal(waitpid(child, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

/* SIGKILL ended it: children_end has reaped it, or a second was not enough for it. */
static void expect_killed(pid_t left, pid_t child)
{
    if (left == 0)
        expect_reaped(child);
    else
        assert_int_equal(exit_status(child), 128 + SIGKILL);
}

static void children_that_end_by_themselves_are_reaped_within_their_grace(void **state)
{
    pid_t children[4], before[4];

    (void)state;
    block_sigchld();
    for (int i = 0; i < 4; i++)
        before[i] = children[i] = start_child(false);
    kill(children[2], SIGTERM); /* has ended long before, while the others are ending */
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)children[2], &info, WEXITED | WNOWAIT), 0);
    for (int i = 0; i < 4; i++)
        kill(children[i], SIGTERM);
    children_end(children, 4, LONG_MS);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(children[i], 0);
        expect_reaped(before[i]);
    }
}

/* It ends after a while, and after others whose deaths children_end sees as well. */
static void a_child_that_ends_late_is_waited_for(void **state)
{
    pid_t child;

    (void)state;
    block_sigchld();
    child = fork_child();
    assert_true(child != -1);
    if (child == 0) {
        nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
        _exit(0);
    }
    pid_t other = fork_child();
    assert_true(other != -1);
    if (other == 0)
        _exit(7);
    children_end(&child, 1, LONG_MS);
    assert_int_equal(child, 0);
    assert_int_equal(exit_status(other), 7); /* whoever is not in the list is left alone */
}

static void a_child_that_does_not_end_is_killed_after_its_grace(void **state)
{
    pid_t children[2] = {0};

    (void)state;
    block_sigchld();
    children[0] = start_child(true);
    children[1] = start_child(true);
    pid_t before[2] = {children[0], children[1]};
    kill(children[0], SIGTERM);
    kill(children[1], SIGSTOP); /* a stopped one is no different */
    children_end(children, 2, 50);
    expect_killed(children[0], before[0]);
    expect_killed(children[1], before[1]);
}

static void nobody_and_who_is_no_child_are_neither_waited_for_nor_killed(void **state)
{
    pid_t middle, grandchild = start_grandchild(&middle);
    pid_t children[3] = {0, grandchild, 0};

    (void)state;
    block_sigchld();
    children_end(children, 3, LONG_MS);
    assert_int_equal(children[1], 0);
    children[0] = grandchild;
    children_end(children, 1, 0);
    assert_int_equal(kill(grandchild, 0), 0);
    assert_int_not_equal(process_state(grandchild), 'Z');
    children_end(NULL, 0, LONG_MS);
    kill(middle, SIGKILL);
    assert_int_equal(exit_status(middle), 128 + SIGKILL);
}

/* Only its tracer can reap it, and that does not. */
static void a_traced_child_does_not_hold_up_the_end(void **state)
{
    pid_t children[3];

    (void)state;
    block_sigchld();
    for (int i = 0; i < 3; i++)
        children[i] = start_child(true);
    pid_t first = children[0], traced = children[1], third = children[2];
    pid_t tracer = start_tracer(traced);
    if (tracer == -1) {
        children_end(children, 3, 0);
        return;
    }
    children_end(children, 3, 50);
    expect_killed(children[0], first);
    expect_killed(children[2], third);
    assert_int_equal(children[1], traced);
    assert_int_equal(waitpid(traced, NULL, WNOHANG), 0);
    kill(tracer, SIGKILL);
    assert_int_equal(waitpid(tracer, NULL, 0), tracer);
    assert_true(wait_until(has_ended, &traced));
}

/* ---- children in another PID namespace ---- */

/* A process of this test's whose children would be another namespace's. Returns its exit status. */
static int status_of_unshared(void (*first)(void))
{
    pid_t child = fork();

    assert_true(child != -1);
    if (child == 0) {
        if (unshare(CLONE_NEWPID) == -1 && unshare(CLONE_NEWUSER | CLONE_NEWPID) == -1)
            _exit(77);
        if (first)
            first();
        _exit(children_impossible() ? 1 : 0);
    }
    int status = exit_status(child);
    if (status == 77)
        print_message("# skipped: this process may make no PID namespace\n");
    return status;
}

static void become_init(void)
{
    int status;
    pid_t init = fork();

    if (init != 0) /* report what it found */
        _exit(waitpid(init, &status, 0) == init && WIFEXITED(status) ? WEXITSTATUS(status) : 99);
}

static void outlive_the_first_child(void)
{
    pid_t init = fork();

    if (init == 0)
        _exit(0);
    waitpid(init, NULL, 0);
}

static void children_are_possible_but_not_in_a_namespace_without_init(void **state)
{
    (void)state;
    assert_null(children_impossible());
    int status = status_of_unshared(NULL);
    if (status == 77)
        return;
    assert_int_equal(status, 1);
    assert_int_equal(status_of_unshared(outlive_the_first_child), 1);
    assert_int_equal(status_of_unshared(become_init), 0);
}

/* ---- the CPU and the clock ---- */

/* What is the policy of a process that had this one and then waits for the CPU; and of its child?
 */
static void expect_policy(int before, int after)
{
    pid_t child = fork();

    assert_true(child != -1);
    if (child == 0) {
        if (sched_setscheduler(0, before, &(struct sched_param){0}) == -1)
            _exit(77);
        if (wait_for_the_cpu() != (before != after) || sched_getscheduler(0) != after)
            _exit(1);
        pid_t grandchild = fork_child();
        if (grandchild == 0)
            _exit(sched_getscheduler(0) == after ? 0 : 2);
        int status;
        _exit(waitpid(grandchild, &status, 0) == grandchild ? WEXITSTATUS(status) : 3);
    }
    assert_int_equal(exit_status(child), 0);
}

static void who_waits_for_the_cpu_is_batch_unless_another_policy_was_chosen(void **state)
{
    (void)state;
    expect_policy(SCHED_OTHER, SCHED_BATCH);
    expect_policy(SCHED_BATCH, SCHED_BATCH);
    expect_policy(SCHED_IDLE, SCHED_IDLE);
}

static void who_waits_for_the_cpu_can_take_that_back(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child != -1);
    if (child == 0) {
        if (sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0}) == -1 ||
            !wait_for_the_cpu())
            _exit(1);
        push_for_the_cpu();
        _exit(sched_getscheduler(0) == SCHED_OTHER ? 0 : 2);
    }
    assert_int_equal(exit_status(child), 0);
}

static void the_clock_counts_milliseconds_and_is_never_set(void **state)
{
    struct timespec before, after;

    (void)state;
    clock_gettime(CLOCK_MONOTONIC, &before);
    int64_t ms = now_ms();
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_true(ms >= (int64_t)before.tv_sec * 1000 + before.tv_nsec / 1000000);
    assert_true(ms <= (int64_t)after.tv_sec * 1000 + after.tv_nsec / 1000000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_signal_makes_the_descriptor_readable_and_is_taken_once),
        TEST(each_signal_of_the_list_is_taken_and_no_other),
        TEST(the_descriptor_is_non_blocking_and_close_on_exec),
        TEST(signals_blocked_before_stay_so),
        TEST(a_signal_that_was_ignored_arrives),
        TEST(a_child_can_be_waited_for_though_sigchld_was_ignored),
        TEST(at_the_limit_of_descriptors_it_fails),
        TEST(both_processes_go_on_and_know_which_they_are),
        TEST(nothing_is_blocked_in_the_child_whatever_the_parent_blocked),
        TEST(a_failing_fork_is_an_error),
        TEST(a_child_dies_with_its_parent_by_kill_9_too),
        TEST(a_child_whose_parent_ended_before_it_could_ask_ends_as_well),
        TEST(children_that_end_by_themselves_are_reaped_within_their_grace),
        TEST(a_child_that_ends_late_is_waited_for),
        TEST(a_child_that_does_not_end_is_killed_after_its_grace),
        TEST(nobody_and_who_is_no_child_are_neither_waited_for_nor_killed),
        TEST(a_traced_child_does_not_hold_up_the_end),
        TEST(children_are_possible_but_not_in_a_namespace_without_init),
        TEST(who_waits_for_the_cpu_is_batch_unless_another_policy_was_chosen),
        TEST(who_waits_for_the_cpu_can_take_that_back),
        TEST(the_clock_counts_milliseconds_and_is_never_set),
    };

    return run_chosen(tests);
}
