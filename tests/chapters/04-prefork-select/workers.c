/*
 * Unit test of chapters/04-prefork-select/workers.c. The workers are real processes, and their
 * deaths real deaths; the clock is this test's, so that pauses are exact and nobody waits for them.
 */
#include "support.h"

#include "process.h"
#include "workers.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the clock and fork, for workers.c only ---- */

static int64_t clock_ms;
static int fork_error;  /* what fork_child fails with; 0 lets it work */
static int calloc_call; /* the call of calloc that fails, counted down */
static const char *children_trouble;

int64_t __wrap_now_ms(void);
pid_t __real_fork_child(void);
pid_t __wrap_fork_child(void);
const char *__wrap_children_impossible(void);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

int64_t __wrap_now_ms(void)
{
    return clock_ms;
}

pid_t __wrap_fork_child(void)
{
    if (fork_error == 0)
        return __real_fork_child();
    errno = fork_error;
    return -1;
}

const char *__wrap_children_impossible(void)
{
    return children_trouble;
}

void *__wrap_calloc(size_t count, size_t size)
{
    if (calloc_call > 0 && --calloc_call == 0) {
        errno = ENOMEM;
        return NULL;
    }
    return __real_calloc(count, size);
}

/* ---- workers ---- */

enum { MOST = 200, LONG_MS = 60000 };

static struct workers *workers;
static int inherited[2] = {-1, -1}; /* a pipe that workers hold, and whoever they have forked */

static int set_up(void **state)
{
    (void)state;
    clock_ms = 1000000;
    fork_error = calloc_call = 0;
    children_trouble = NULL;
    return pipe2(inherited, O_CLOEXEC);
}

static int tear_down(void **state)
{
    (void)state;
    if (workers)
        workers_close(workers, 0);
    workers = NULL;
    close(inherited[0]);
    close(inherited[1]);
    return 0;
}

static void open_places(int places)
{
    workers = workers_open(places);
    assert_non_null(workers);
}

static void sleep_for_ever(void)
{
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY); /* where Yama lets only ancestors trace */
    for (;;)
        pause();
}

/* Starts a worker that sleeps until somebody ends it. */
static pid_t start(int place)
{
    pid_t pid = workers_start(workers, place);

    assert_true(pid != -1);
    if (pid == 0)
        sleep_for_ever();
    assert_int_equal(workers_pid(workers, place), pid);
    return pid;
}

static void start_all(int places)
{
    for (int place; (place = workers_vacant(workers)) != -1;)
        start(place);
    for (int i = 0; i < places; i++)
        assert_true(workers_pid(workers, i) > 0);
    assert_int_equal(workers_timeout(workers), -1);
}

/* Waits as a server does, with the descriptor, until a death has been said. Returns its place. */
static int next_death(pid_t *pid, int *status)
{
    for (;;) {
        int place = workers_reap(workers, pid, status);
        if (place != -1)
            return place;
        struct pollfd died = {.fd = workers_descriptor(workers), .events = POLLIN};
        if (poll(&died, 1, PATIENCE * 1000) != 1)
            fail_msg("a death was not noticed");
    }
}

static void expect_death(int place, pid_t pid, int signal_number)
{
    pid_t died;
    int status;

    assert_int_equal(next_death(&died, &status), place);
    assert_int_equal(died, pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), signal_number);
    assert_int_equal(workers_pid(workers, place), 0);
    assert_int_equal(workers_reap(workers, &died, &status), -1);
}

static void kill_worker(int place)
{
    pid_t pid = workers_pid(workers, place);

    kill(pid, SIGKILL);
    expect_death(place, pid, SIGKILL);
}

/* ---- places ---- */

static void places_are_vacant_until_they_are_filled(void **state)
{
    (void)state;
    open_places(3);
    assert_int_equal(workers_timeout(workers), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(workers_vacant(workers), i);
        assert_int_equal(workers_pid(workers, i), 0);
        start(i);
        assert_int_equal(workers_birth_ms(workers, i), clock_ms);
        clock_ms += 10;
    }
    assert_int_equal(workers_vacant(workers), -1);
    assert_int_equal(workers_timeout(workers), -1);
    assert_int_equal(workers_deaths(workers), 0);
}

static void in_a_worker_nothing_of_the_places_is_open_or_blocked(void **state)
{
    sigset_t mask;
    int status;
    int before = descriptors_of(getpid());

    (void)state;
    open_places(1);
    pid_t pid = workers_start(workers, 0);
    if (pid == 0) {
        sigprocmask(SIG_BLOCK, NULL, &mask);
        _exit(descriptors_of(getpid()) != before                  ? 1
              : sigismember(&mask, SIGCHLD)                       ? 2
              : fcntl(workers_descriptor(workers), F_GETFD) != -1 ? 3
                                                                  : 0);
    }
    assert_int_equal(next_death(&pid, &status), 0);
    assert_int_equal(status, 0);
}

static void a_death_is_said_with_its_status_and_counted(void **state)
{
    pid_t pid, died;
    int status;

    (void)state;
    open_places(2);
    pid = workers_start(workers, 0);
    if (pid == 0)
        _exit(7);
    assert_int_equal(next_death(&died, &status), 0);
    assert_int_equal(died, pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_int_equal(workers_deaths(workers), 1);
    start(1);
    kill_worker(1);
    assert_int_equal(workers_deaths(workers), 2);
}

/* ---- pauses ---- */

static void the_place_of_a_worker_that_was_no_good_has_a_pause_that_grows(void **state)
{
    static const int pauses[] = {100, 200, 400, 800, 1600, 3200, 6400, 6400, 6400};

    (void)state;
    open_places(1);
    for (size_t i = 0; i < sizeof(pauses) / sizeof(*pauses); i++) {
        start(0);
        kill_worker(0);
        assert_int_equal(workers_timeout(workers), pauses[i]);
        assert_int_equal(workers_vacant(workers), -1);
        clock_ms += pauses[i] - 1;
        assert_int_equal(workers_timeout(workers), 1);
        assert_int_equal(workers_vacant(workers), -1);
        clock_ms += 1;
        assert_int_equal(workers_timeout(workers), 0);
        assert_int_equal(workers_vacant(workers), 0);
    }
    start(0); /* one does some work ... */
    workers_proved(workers, 0);
    kill_worker(0);
    assert_int_equal(workers_timeout(workers), 0); /* ... and is replaced at once */
    assert_int_equal(workers_vacant(workers), 0);
    start(0);
    kill_worker(0);
    assert_int_equal(workers_timeout(workers), 100); /* the pauses begin again */
}

static void the_pause_is_the_place_s_own(void **state)
{
    (void)state;
    open_places(8);
    start_all(8);
    for (int i = 0; i < 8; i++)
        if (i != 3)
            workers_proved(workers, i);
    /* In one place a worker dies every 70 ms, if it is there; each of the others dies once. */
    for (int tick = 0; tick < 40; tick++) {
        clock_ms += 70;
        for (int place; (place = workers_vacant(workers)) != -1;)
            start(place);
        if (workers_pid(workers, 3) != 0)
            kill_worker(3);
        int other = tick % 8;
        if (tick < 8 && other != 3) {
            kill_worker(other);
            assert_int_equal(workers_vacant(workers), other); /* due at once */
            start(other);
        }
        for (int i = 0; i < 8; i++)
            assert_true(i == 3 || workers_pid(workers, i) != 0);
    }
    assert_int_equal(workers_vacant(workers), -1);
}

static void a_worker_that_cannot_be_forked_puts_its_place_off(void **state)
{
    (void)state;
    open_places(2);
    start(1);
    fork_error = EAGAIN;
    for (int pause = 100; pause <= 800; pause *= 2) {
        errno = 0;
        assert_int_equal(workers_start(workers, 0), -1);
        assert_int_equal(errno, EAGAIN);
        assert_int_equal(workers_pid(workers, 0), 0);
        assert_int_equal(workers_timeout(workers), pause);
        clock_ms += pause;
        assert_int_equal(workers_vacant(workers), 0);
    }
    workers_put_off(workers, 0); /* the caller has no channel for it, for example */
    assert_int_equal(workers_vacant(workers), -1);
    assert_int_equal(workers_timeout(workers), 1600);
    clock_ms += 1600;
    fork_error = 0;
    start(workers_vacant(workers));
    assert_int_equal(workers_timeout(workers), -1);
}

static void the_timeout_is_that_of_the_place_that_is_due_first(void **state)
{
    (void)state;
    open_places(3);
    start_all(3);
    workers_dismiss(workers, 0, 5000);
    assert_int_equal(workers_timeout(workers), 5000);
    clock_ms += 1000;
    workers_dismiss(workers, 1, 300);
    assert_int_equal(workers_timeout(workers), 300);
    clock_ms += 50;
    kill_worker(2); /* vacant for 100 ms */
    assert_int_equal(workers_timeout(workers), 100);
    clock_ms += 100;
    assert_int_equal(workers_timeout(workers), 0);
    assert_int_equal(workers_vacant(workers), 2);
    start(2);
    assert_int_equal(workers_timeout(workers), 150);
    kill_worker(1); /* dies before its time is over */
    assert_int_equal(workers_timeout(workers), 100);
    clock_ms += 100;
    start(workers_vacant(workers));
    assert_int_equal(workers_timeout(workers), 3750);
    clock_ms += 100000;
    assert_int_equal(workers_timeout(workers), 0); /* and never negative, which is "for ever" */
}

/* ---- deaths ---- */

/* A worker forks a helper without exec, as any library may: it keeps copies of all descriptors. */
static void a_death_is_noticed_whoever_holds_the_descriptors_of_the_dead(void **state)
{
    pid_t helper;

    (void)state;
    open_places(1);
    pid_t pid = workers_start(workers, 0);
    assert_true(pid != -1);
    if (pid == 0) {
        helper = fork();
        if (helper == 0)
            sleep_for_ever();
        if (write(inherited[1], &helper, sizeof(helper)) != sizeof(helper))
            _exit(1);
        sleep_for_ever();
    }
    assert_int_equal(read(inherited[0], &helper, sizeof(helper)), sizeof(helper));
    kill(pid, SIGKILL);
    expect_death(0, pid, SIGKILL);
    assert_int_equal(kill(helper, 0), 0);
    kill(helper, SIGKILL);
}

static void no_death_of_many_at_once_is_lost(void **state)
{
    struct rlimit limit;
    int places = MOST;

    (void)state;
    if (getrlimit(RLIMIT_NPROC, &limit) == 0 && limit.rlim_cur < 2 * MOST)
        places = 20;
    open_places(places);
    for (int round = 1; round <= 5; round++) {
        bool said[MOST] = {false};
        pid_t pids[MOST], died;
        int status;

        start_all(places);
        for (int i = 0; i < places; i++)
            pids[i] = workers_pid(workers, i);
        for (int i = 0; i < places; i++) /* some die while others are being reaped */
            kill(pids[i], SIGKILL);
        for (int count = 0; count < places; count++) {
            int place = next_death(&died, &status);
            assert_false(said[place]);
            assert_int_equal(died, pids[place]);
            said[place] = true;
        }
        assert_int_equal(workers_reap(workers, &died, &status), -1);
        assert_int_equal(workers_deaths(workers), round * places);
        clock_ms += LONG_MS;
    }
}

/* Its death makes the descriptor readable only once, and workers_reap has said it was not dead. */
static void a_death_after_the_last_look_makes_the_descriptor_readable(void **state)
{
    pid_t died;
    int status;

    (void)state;
    open_places(3);
    start_all(3);
    for (int round = 0; round < 20; round++) {
        struct pollfd deaths = {.fd = workers_descriptor(workers), .events = POLLIN};
        pid_t second = workers_pid(workers, 0);
        int third = workers_pid(workers, 2);

        kill(third, SIGKILL);
        assert_int_equal(poll(&deaths, 1, PATIENCE * 1000), 1);
        int place = workers_reap(workers, &died, &status); /* it has looked at place 0 by now */
        assert_int_equal(place, 2);
        kill(second, SIGKILL);
        siginfo_t info;
        assert_int_equal(waitid(P_PID, (id_t)second, &info, WEXITED | WNOWAIT), 0);
        assert_int_equal(workers_reap(workers, &died, &status), -1);
        assert_int_equal(poll(&deaths, 1, PATIENCE * 1000), 1);
        assert_int_equal(workers_reap(workers, &died, &status), 0);
        assert_int_equal(workers_reap(workers, &died, &status), -1);
        assert_int_equal(poll(&deaths, 1, 0), 0);
        clock_ms += LONG_MS;
        start_all(3);
    }
}

/* ---- dismissal ---- */

static void who_is_dismissed_and_does_not_go_is_killed_after_its_grace(void **state)
{
    (void)state;
    open_places(2);
    start_all(2);
    pid_t pid = workers_pid(workers, 0);
    workers_dismiss(workers, 0, 500);
    workers_dismiss(workers, 0, 0); /* once is enough */
    clock_ms += 499;
    assert_int_equal(workers_vacant(workers), -1);
    kill(pid, SIGSTOP); /* alive: or it could not be stopped */
    assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid);
    clock_ms += 1;
    assert_int_equal(workers_timeout(workers), 0);
    assert_int_equal(workers_vacant(workers), -1); /* kills it, though it is stopped */
    expect_death(0, pid, SIGKILL);
    assert_int_equal(workers_timeout(workers), 100);
    clock_ms += 100;
    assert_int_equal(workers_vacant(workers), 0);
    start(0);
    assert_int_equal(workers_timeout(workers), -1);
}

static void nobody_can_be_dismissed_from_a_vacant_place(void **state)
{
    (void)state;
    open_places(1);
    workers_dismiss(workers, 0, 0);
    assert_int_equal(workers_vacant(workers), 0);
    start(0);
    assert_int_equal(workers_timeout(workers), -1);
    assert_int_equal(workers_vacant(workers), -1);
}

static bool is_zombie(void *pid)
{
    return process_state(*(pid_t *)pid) == 'Z';
}

static bool has_gone(void *pid)
{
    pid_t died;
    int status;

    while (workers_reap(workers, &died, &status) != -1)
        fail_msg("a worker that had left its place was said to die");
    return kill(*(pid_t *)pid, 0) == -1 && errno == ESRCH;
}

static void end_tracer(pid_t tracer)
{
    kill(tracer, SIGKILL);
    assert_int_equal(waitpid(tracer, NULL, 0), tracer);
}

/* Dismisses a worker that is traced, and lets the time pass in which it could be reaped. */
static void press(int place)
{
    pid_t pid = workers_pid(workers, place);

    workers_dismiss(workers, place, 0);
    workers_vacant(workers); /* SIGKILL */
    assert_true(wait_until(is_zombie, &pid));
    pid_t died;
    int status;
    assert_int_equal(workers_reap(workers, &died, &status), -1); /* its tracer would have to */
    assert_int_equal(workers_timeout(workers), 200);
    clock_ms += 200;
    workers_vacant(workers);
}

static void who_cannot_be_reaped_leaves_its_place_and_is_reaped_later(void **state)
{
    (void)state;
    open_places(2);
    start_all(2);
    pid_t pid = workers_pid(workers, 0), tracer = start_tracer(pid);
    if (tracer == -1)
        return;
    press(0);
    assert_int_equal(workers_pid(workers, 0), 0);
    assert_int_equal(workers_deaths(workers), 1);
    assert_int_equal(workers_timeout(workers), 100);
    clock_ms += 100;
    assert_int_equal(workers_vacant(workers), 0);
    pid_t successor = start(0);
    assert_int_equal(workers_timeout(workers), -1); /* nothing more is due: no turns a second */
    assert_int_equal(process_state(pid), 'Z');
    end_tracer(tracer);
    assert_true(wait_until(has_gone, &pid));
    assert_int_equal(workers_pid(workers, 0), successor);
    assert_int_equal(workers_deaths(workers), 1);
}

/* A worker of its own accord, or somebody's SIGKILL: nobody has dismissed it. */
static void who_is_traced_and_killed_leaves_its_place_once_it_is_dismissed(void **state)
{
    pid_t died;
    int status;

    (void)state;
    open_places(1);
    pid_t pid = start(0), tracer = start_tracer(pid);
    if (tracer == -1)
        return;
    kill(pid, SIGKILL);
    assert_true(wait_until(is_zombie, &pid));
    assert_int_equal(workers_reap(workers, &died, &status), -1);
    press(0); /* whoever hands work over has seen end-of-file */
    assert_int_equal(workers_pid(workers, 0), 0);
    end_tracer(tracer);
    assert_true(wait_until(has_gone, &pid));
}

/* Where nobody would see the end of a channel. */
static void who_is_watched_traced_and_killed_leaves_its_place_by_itself(void **state)
{
    pid_t died;
    int status;

    (void)state;
    open_places(2);
    assert_int_equal(workers_watch(workers), 0);
    start_all(2);
    pid_t pid = workers_pid(workers, 0), tracer = start_tracer(pid);
    if (tracer == -1)
        return;
    kill(pid, SIGKILL);
    struct pollfd dead = {.fd = workers_descriptor(workers), .events = POLLIN};
    assert_int_equal(poll(&dead, 1, PATIENCE * 1000), 1);
    assert_int_equal(workers_reap(workers, &died, &status), -1);
    assert_int_equal(poll(&dead, 1, 0), 0); /* it has been seen, and is no news any more */
    for (int i = 0; i < 2; i++) { /* in which it could be reaped; then to be, by its tracer */
        assert_int_equal(workers_timeout(workers), 200);
        clock_ms += 200;
        workers_vacant(workers);
    }
    assert_int_equal(workers_pid(workers, 0), 0);
    clock_ms += 100;
    assert_int_equal(workers_vacant(workers), 0);
    start(0);
    kill_worker(1); /* the others are noticed as before */
    end_tracer(tracer);
    assert_true(wait_until(has_gone, &pid));
}

static void who_is_watched_costs_a_descriptor_which_is_closed_everywhere(void **state)
{
    pid_t pid;
    int status, before = descriptors_of(getpid());

    (void)state;
    open_places(3);
    assert_int_equal(workers_watch(workers), 0);
    int without = descriptors_of(getpid());
    start(0);
    start(1);
    assert_int_equal(descriptors_of(getpid()), without + 2);
    pid_t last = workers_start(workers, 2);
    if (last == 0)
        _exit(descriptors_of(getpid()) - before);
    assert_int_equal(next_death(&pid, &status), 2);
    assert_int_equal(pid, last);
    assert_int_equal(status, 0);
    kill_worker(0);
    assert_int_equal(descriptors_of(getpid()), without + 1);
    workers_close(workers, 0);
    workers = NULL;
    assert_int_equal(descriptors_of(getpid()), before);
}

static void who_cannot_be_watched_is_noticed_by_its_signal(void **state)
{
    struct rlimit before, none;

    (void)state;
    open_places(1);
    assert_int_equal(workers_watch(workers), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    pid_t pid = workers_start(workers, 0);
    if (pid == 0)
        sleep_for_ever();
    struct workers *none_left = workers_open(1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_null(none_left);
    assert_true(pid > 0);
    kill_worker(0);
}

static void where_too_many_cannot_be_reaped_the_place_stays_theirs(void **state)
{
    pid_t pids[3], tracers[3];

    (void)state;
    open_places(2);
    start_all(2);
    for (int i = 0; i < 3; i++) {
        if (i > 0) { /* in place 0, again and again */
            clock_ms += LONG_MS;
            assert_int_equal(workers_vacant(workers), 0);
            start(0);
        }
        pids[i] = workers_pid(workers, 0);
        tracers[i] = start_tracer(pids[i]);
        if (tracers[i] == -1)
            return;
        press(0);
        assert_int_equal(workers_pid(workers, 0), i < 2 ? 0 : pids[2]);
    }
    assert_int_equal(workers_timeout(workers), 200); /* now and then it is asked again */
    clock_ms += 200;
    assert_int_equal(workers_vacant(workers), -1);
    assert_int_equal(workers_pid(workers, 0), pids[2]);
    assert_int_equal(workers_timeout(workers), 200);
    end_tracer(tracers[0]); /* one can be reaped: the place is free again */
    assert_true(wait_until(has_gone, &pids[0]));
    clock_ms += 200;
    workers_vacant(workers);
    assert_int_equal(workers_pid(workers, 0), 0);
    end_tracer(tracers[1]);
    end_tracer(tracers[2]);
    assert_true(wait_until(has_gone, &pids[1]));
    assert_true(wait_until(has_gone, &pids[2]));
}

/* ---- children that are not ours ---- */

static void a_stranger_among_the_children_is_not_touched(void **state)
{
    pid_t died;
    int status;

    (void)state;
    pid_t stranger = fork();
    assert_true(stranger != -1);
    if (stranger == 0)
        _exit(3);
    open_places(1);
    start(0);
    assert_true(wait_until(is_zombie, &stranger));
    kill_worker(0);
    assert_int_equal(workers_reap(workers, &died, &status), -1);
    workers_close(workers, 0);
    workers = NULL;
    assert_int_equal(waitpid(stranger, &status, 0), stranger);
    assert_int_equal(WEXITSTATUS(status), 3);
}

/* What init of a PID namespace does with the orphans of others. Returns an exit status. */
static int be_init(void)
{
    pid_t orphan, middle, died;
    int status;

    open_places(2);
    start_all(2);
    for (int round = 0; round < 20; round++) {
        middle = fork();
        if (middle == 0) { /* a child that the workers module knows nothing of, and its own */
            orphan = fork();
            if (orphan == 0)
                _exit(5);
            _exit(write(inherited[1], &orphan, sizeof(orphan)) == sizeof(orphan) ? 0 : 1);
        }
        if (read(inherited[0], &orphan, sizeof(orphan)) != sizeof(orphan))
            return 1;
        while (kill(middle, 0) == 0 || kill(orphan, 0) == 0) {
            struct pollfd deaths = {.fd = workers_descriptor(workers), .events = POLLIN};
            if (poll(&deaths, 1, PATIENCE * 1000) != 1)
                return 2;
            if (workers_reap(workers, &died, &status) != -1)
                return 3;
        }
        /* Its own are said as ever, with strangers among the dead. */
        pid_t worker = workers_pid(workers, round % 2);
        middle = fork();
        if (middle == 0)
            _exit(0);
        kill(worker, SIGKILL);
        if (next_death(&died, &status) != round % 2 || died != worker || !WIFSIGNALED(status))
            return 4;
        while (kill(middle, 0) == 0) {
            struct pollfd deaths = {.fd = workers_descriptor(workers), .events = POLLIN};
            if (workers_reap(workers, &died, &status) != -1)
                return 5;
            if (kill(middle, 0) == 0 && poll(&deaths, 1, PATIENCE * 1000) != 1)
                return 6;
        }
        clock_ms += LONG_MS;
        start(workers_vacant(workers));
    }
    workers_close(workers, 0);
    while (wait(NULL) > 0) /* whose end takes longer than a second */
        continue;
    return errno == ECHILD ? 0 : 7;
}

static void init_of_a_pid_namespace_reaps_whoever_dies(void **state)
{
    int status;

    (void)state;
    pid_t child = fork();
    assert_true(child != -1);
    if (child == 0) {
        if (unshare(CLONE_NEWPID) == -1 && unshare(CLONE_NEWUSER | CLONE_NEWPID) == -1)
            _exit(77);
        pid_t init = fork();
        if (init == 0)
            _exit(getpid() == 1 ? be_init() : 98);
        _exit(waitpid(init, &status, 0) == init && WIFEXITED(status) ? WEXITSTATUS(status) : 99);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        print_message("# skipped: this process may make no PID namespace\n");
    else
        assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- opening and closing ---- */

static void on_signal(int signal_number)
{
    (void)signal_number;
}

/* What is done at SIGCHLD, and whether it is blocked, is afterwards as it was before. */
static void expect_sigchld_restored(void (*handler)(int), bool blocked, bool opens)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_NOCLDSTOP}, after;
    sigset_t set, mask;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaction(SIGCHLD, &action, NULL);
    sigprocmask(blocked ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
    workers = workers_open(2);
    assert_int_equal(workers != NULL, opens);
    if (opens) {
        sigprocmask(SIG_BLOCK, NULL, &mask);
        assert_true(sigismember(&mask, SIGCHLD));
        start_all(2);
        kill_worker(1); /* though it was ignored, or had a handler, before */
        workers_close(workers, 0);
        workers = NULL;
    }
    sigaction(SIGCHLD, NULL, &after);
    assert_ptr_equal(after.sa_handler, handler);
    assert_int_equal(after.sa_flags & SA_NOCLDSTOP, SA_NOCLDSTOP);
    sigprocmask(SIG_BLOCK, NULL, &mask);
    assert_int_equal(sigismember(&mask, SIGCHLD), blocked);
    signal(SIGCHLD, SIG_DFL);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void sigchld_is_afterwards_as_it_was_before(void **state)
{
    void (*const handlers[])(int) = {SIG_DFL, SIG_IGN, on_signal};

    (void)state;
    for (int i = 0; i < 3; i++) {
        expect_sigchld_restored(handlers[i], false, true);
        expect_sigchld_restored(handlers[i], true, true);
    }
}

static void where_no_places_can_be_made_nothing_is_left(void **state)
{
    struct rlimit before, none_left;
    int descriptors = descriptors_of(getpid());

    (void)state;
    for (int call = 1; call <= 2; call++) {
        calloc_call = call;
        expect_sigchld_restored(on_signal, false, false);
        assert_int_equal(errno, ENOMEM);
    }
    children_trouble = "they would be another's";
    expect_sigchld_restored(on_signal, false, false);
    assert_int_equal(errno, EXDEV);
    children_trouble = NULL;

    int lowest_free = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
    close(lowest_free);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none_left = before;
    none_left.rlim_cur = (rlim_t)lowest_free;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none_left), 0);
    expect_sigchld_restored(on_signal, false, false);
    int error = errno;
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(error, EMFILE);
    assert_int_equal(descriptors_of(getpid()), descriptors);
}

/* By workers_close, or by this: a second may be short for a SIGKILL. */
static bool is_reaped(void *pid)
{
    return waitpid(*(pid_t *)pid, NULL, WNOHANG) != 0;
}

static void closing_ends_all_and_leaves_no_descriptor(void **state)
{
    pid_t pids[4];
    int descriptors = descriptors_of(getpid());

    (void)state;
    open_places(4);
    start_all(3 + 1);
    for (int i = 0; i < 4; i++)
        pids[i] = workers_pid(workers, i);
    kill(pids[1], SIGSTOP);
    workers_dismiss(workers, 2, LONG_MS);
    kill_worker(3);
    workers_close(workers, 50);
    workers = NULL;
    for (int i = 0; i < 4; i++)
        assert_true(wait_until(is_reaped, &pids[i]));
    assert_int_equal(descriptors_of(getpid()), descriptors);
}

static void closing_does_not_wait_for_who_is_traced(void **state)
{
    (void)state;
    open_places(3);
    start_all(3);
    pid_t left = workers_pid(workers, 0), traced = workers_pid(workers, 1),
          third = workers_pid(workers, 2);
    pid_t tracers[2] = {start_tracer(left), start_tracer(traced)};
    if (tracers[0] == -1 || tracers[1] == -1)
        return;
    press(0); /* one has left its place already */
    workers_close(workers, 50);
    workers = NULL;
    assert_true(wait_until(is_reaped, &third));
    assert_true(wait_until(is_zombie, &traced));
    for (int i = 0; i < 2; i++)
        end_tracer(tracers[i]);
    assert_true(wait_until(is_reaped, &left));
    assert_true(wait_until(is_reaped, &traced));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(places_are_vacant_until_they_are_filled),
        TEST(in_a_worker_nothing_of_the_places_is_open_or_blocked),
        TEST(a_death_is_said_with_its_status_and_counted),
        TEST(the_place_of_a_worker_that_was_no_good_has_a_pause_that_grows),
        TEST(the_pause_is_the_place_s_own),
        TEST(a_worker_that_cannot_be_forked_puts_its_place_off),
        TEST(the_timeout_is_that_of_the_place_that_is_due_first),
        TEST(a_death_is_noticed_whoever_holds_the_descriptors_of_the_dead),
        TEST(no_death_of_many_at_once_is_lost),
        TEST(a_death_after_the_last_look_makes_the_descriptor_readable),
        TEST(who_is_dismissed_and_does_not_go_is_killed_after_its_grace),
        TEST(nobody_can_be_dismissed_from_a_vacant_place),
        TEST(who_cannot_be_reaped_leaves_its_place_and_is_reaped_later),
        TEST(who_is_traced_and_killed_leaves_its_place_once_it_is_dismissed),
        TEST(who_is_watched_traced_and_killed_leaves_its_place_by_itself),
        TEST(who_is_watched_costs_a_descriptor_which_is_closed_everywhere),
        TEST(who_cannot_be_watched_is_noticed_by_its_signal),
        TEST(where_too_many_cannot_be_reaped_the_place_stays_theirs),
        TEST(a_stranger_among_the_children_is_not_touched),
        TEST(init_of_a_pid_namespace_reaps_whoever_dies),
        TEST(sigchld_is_afterwards_as_it_was_before),
        TEST(where_no_places_can_be_made_nothing_is_left),
        TEST(closing_ends_all_and_leaves_no_descriptor),
        TEST(closing_does_not_wait_for_who_is_traced),
    };

    return run_chosen(tests);
}
