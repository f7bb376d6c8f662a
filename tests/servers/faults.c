/*
 * What every server of the course does when something goes wrong around it. After each fault the
 * server still serves, its workers are all there, no process has become a zombie, none has leaked a
 * descriptor, and none is busy with nothing.
 */
#include "subject.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WORKERS = 4 };

/* How many connections to make: a tenth where each process runs under another program (valgrind).
 */
static int many(int connections)
{
    return getenv("TEST_WRAPPER") ? connections / 10 : connections;
}

/* ---- the state to which a server comes back ---- */

struct calm {
    const struct server *server;
    pid_t workers[WORKERS]; /* those at rest: `count` */
    int count;
    int descriptors;            /* of the master without workers; 0 when not known yet */
    int descriptors_for_worker; /* that the master has for each of them */
    int descriptors_of_worker;  /* of each of them; 0 when not known yet */
    int descriptors_of_acceptor;
};

/* True when every process waits for something, and there are as many workers as at rest. */
static bool is_calm(void *argument)
{
    struct calm *calm = argument;
    pid_t workers[64];
    int count = workers_of(calm->server->pid, workers, 64);

    if (count < at_least(WORKERS) || count > at_most(WORKERS) ||
        process_state(calm->server->pid) != 'S')
        return false;
    if (calm->descriptors && descriptors_of(calm->server->pid) !=
                                 calm->descriptors + count * calm->descriptors_for_worker)
        return false;
    pid_t acceptor = acceptor_of(calm->server->pid);
    if (subject->queue && (acceptor == 0 || process_state(acceptor) != 'S'))
        return false;
    if (calm->descriptors_of_acceptor && descriptors_of(acceptor) != calm->descriptors_of_acceptor)
        return false;
    for (int i = 0; i < count; i++) {
        if (process_state(workers[i]) != 'S')
            return false;
        int more = calm->descriptors_of_worker
                       ? descriptors_of(workers[i]) - calm->descriptors_of_worker
                       : 0;
        if (more < 0 || more > subject->numbers) /* that of the acceptor, once it knows it */
            return false;
        calm->workers[i] = workers[i];
    }
    calm->count = count;
    return true;
}

static bool all_wait(void *argument)
{
    pid_t master = ((const struct server *)argument)->pid, workers[WORKERS];

    if (workers_of(master, workers, WORKERS) != WORKERS || process_state(master) != 'S')
        return false;
    for (int i = 0; i < WORKERS; i++)
        if (process_state(workers[i]) != 'S')
            return false;
    return true;
}

/* How many descriptors the master has when every worker is busy. */
static int descriptors_when_busy(const struct server *server)
{
    int connections[WORKERS];

    hold_workers(server, connections, WORKERS);
    assert_true(wait_until(all_wait, (void *)server));
    int count = descriptors_of(server->pid);
    for (int i = 0; i < WORKERS; i++)
        close(connections[i]);
    return count;
}

/* Where only numbers travel, it has a connection for a moment after its worker has taken it. */
static int descriptors_at_rest(pid_t acceptor)
{
    int least = descriptors_of(acceptor);

    for (int i = 0; i < 30 && subject->numbers; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        int now = descriptors_of(acceptor);
        least = now < least ? now : least;
    }
    return least;
}

/* Starts the subject, lets it serve once, and notes what it has open then. */
static struct server start(struct calm *calm)
{
    static struct server server;

    server = start_workers(WORKERS);
    expect_service(&server);
    *calm = (struct calm){.server = &server};
    assert_true(wait_until(is_calm, calm));
    int descriptors = descriptors_of(server.pid), count = calm->count;
    for (int i = 0; i < count; i++)
        if (i == 0 || descriptors_of(calm->workers[i]) < calm->descriptors_of_worker)
            calm->descriptors_of_worker = descriptors_of(calm->workers[i]);
    if (count > 0 && count < WORKERS)
        calm->descriptors_for_worker =
            (descriptors_when_busy(&server) - descriptors) / (WORKERS - count);
    calm->descriptors = descriptors - count * calm->descriptors_for_worker;
    if (subject->queue)
        calm->descriptors_of_acceptor = descriptors_at_rest(acceptor_of(server.pid));
    assert_true(wait_until(is_calm, calm)); /* so has every worker as many as the first */
    return server;
}

/* Whether the server and its workers leave the processor alone, over an interval. */
static bool rests(const struct server *server)
{
    struct timespec begin, end;
    int64_t before = cpu_of(server->pid);

    int asleep = 0;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int i = 0; i < 30; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        asleep += process_state(server->pid) == 'S';
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    int64_t passed = (end.tv_sec - begin.tv_sec) * 1000000000 + end.tv_nsec - begin.tv_nsec;
    /* Who spins never sleeps, however little CPU time a busy machine leaves him. */
    return asleep > 0 && cpu_of(server->pid) - before < passed / 4;
}

/* What is over soon is no spinning: valgrind, for one, translates what runs for the first time. */
static void expect_idle_cpu(const struct server *server)
{
    for (int i = 0; i < 3; i++)
        if (rests(server))
            return;
    fail_msg("the server uses the processor, and nobody asks it for anything");
}

static void expect_calm(struct calm *calm)
{
    if (subject->deals) /* while no worker listens, clients are refused */
        assert_true(wait_until(is_calm, calm));
    expect_service(calm->server);
    if (!wait_until(is_calm, calm)) {
        pid_t workers[64];
        int count = workers_of(calm->server->pid, workers, 64);
        print_error("master: state %c, %d descriptors instead of %d\n",
                    process_state(calm->server->pid), descriptors_of(calm->server->pid),
                    calm->descriptors + count * calm->descriptors_for_worker);
        for (int i = 0; i < count; i++)
            print_error("worker: state %c, %d descriptors instead of %d\n",
                        process_state(workers[i]), descriptors_of(workers[i]),
                        calm->descriptors_of_worker);
        fail_msg("the server did not come to rest");
    }
    expect_idle_cpu(calm->server);
}

static bool is_stopped_process(void *pid)
{
    return process_state(*(pid_t *)pid) == 'T';
}

/* Where each worker has a listener, a client may come while none is open. */
static bool is_served(void *server)
{
    const struct timeval patience = {.tv_sec = PATIENCE};
    char byte;
    int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    int connected = try_connect(connection, server);
    if (connected == -1 && !subject->deals)
        fail_msg("connect: %s", strerror(errno));
    bool served = connected == 0 && send(connection, "?", 1, MSG_NOSIGNAL) == 1 &&
                  recv(connection, &byte, 1, 0) == 1;

    close(connection);
    return served;
}

static int times_said(const struct server *server, const char *what)
{
    char *errors = server_errors(server);
    int times = 0;

    for (char *next = errors; (next = strstr(next, what)); next++)
        times++;
    free(errors);
    return times;
}

static const char *expected_words;
static bool has_said(void *server)
{
    return times_said(server, expected_words) > 0;
}

/* ---- nothing goes wrong ---- */

static void leaks_nothing_over_many_connections(void **state)
{
    struct calm calm;
    struct server server = start(&calm);

    (void)state;
    struct load load = load_start(&server, 16, many(1000));
    struct load_result result = load_finish(&load);
    assert_int_equal(result.ok, many(1000));
    expect_calm(&calm);
    assert_int_equal(server_stop(&server), 0);
}

/* ---- workers die ---- */

static void kill_all(const pid_t *processes, int count, int signal_number)
{
    for (int i = 0; i < count; i++)
        kill(processes[i], signal_number);
}

static void replaces_idle_workers_that_are_killed(void **state)
{
    struct calm calm;
    struct server server = start(&calm);

    (void)state;
    for (int i = 0; i < 5; i++) {
        pid_t victim = calm.workers[i % calm.count];
        kill(victim, SIGKILL);
        expect_gone(&victim, 1);
        expect_calm(&calm);
    }
    assert_int_equal(server_stop(&server), 0);
}

static void replaces_all_workers_killed_at_once(void **state)
{
    struct calm calm;
    struct server server = start(&calm);

    (void)state;
    for (int i = 0; i < 3; i++) {
        pid_t victims[WORKERS];
        int count = calm.count;
        memcpy(victims, calm.workers, sizeof(victims));
        kill_all(victims, count, SIGKILL);
        expect_gone(victims, count);
        expect_calm(&calm);
    }
    assert_int_equal(server_stop(&server), 0);
}

static void uses_every_worker_after_some_were_replaced(void **state)
{
    struct calm calm;
    struct server server = start(&calm);
    int connections[WORKERS];

    (void)state;
    for (int i = 0; i < calm.count; i++) {
        pid_t victim = calm.workers[i];
        kill(victim, SIGKILL);
        expect_gone(&victim, 1);
        expect_calm(&calm);
        for (int round = 0; round < 2; round++) { /* in the second, all have said "idle" again */
            hold_workers(&server, connections, WORKERS);
            for (int j = 0; j < WORKERS; j++)
                close(connections[j]);
        }
    }
    assert_int_equal(server_stop(&server), 0);
}

static void loses_only_the_connection_of_a_busy_worker_that_is_killed(void **state)
{
    struct calm calm;
    struct server server = start(&calm);
    int connections[WORKERS], lost = 0;
    pid_t workers[WORKERS];
    char byte;

    (void)state;
    hold_workers(&server, connections, WORKERS);
    assert_int_equal(workers_of(server.pid, workers, WORKERS), WORKERS);
    kill(workers[1], SIGKILL);
    if (!subject->deals)         /* then it might wait behind one of these */
        expect_service(&server); /* there is a new worker */
    for (int i = 0; i < WORKERS; i++) {
        send(connections[i], "x", 1, MSG_NOSIGNAL);
        if (recv(connections[i], &byte, 1, 0) != 1)
            lost++;
        close(connections[i]);
    }
    assert_int_equal(lost, 1);
    expect_calm(&calm);
    assert_int_equal(server_stop(&server), 0);
}

static void loses_at_most_one_connection_for_each_worker_killed_under_load(void **state)
{
    struct calm calm;
    struct server server = start(&calm);
    int killed = 0, last = 0;
    pid_t victims[64]; /* of the last round */

    (void)state;
    struct load load = load_start(&server, 12, many(3000));
    while (process_state(load.pid) != 'Z' && killed < 100) {
        pid_t children[64];
        int count = workers_of(server.pid, children, 64);
        if (count > 64)
            count = 64;
        last = 0;
        /* Now all, now a few; where each listens itself, one is left, or clients are refused. */
        for (int i = subject->deals; i < count; i += killed % 3 + 1)
            if (process_state(children[i]) != 'Z' && kill(children[i], SIGKILL) == 0) {
                victims[last++] = children[i];
                killed++;
            }
        assert_true(wait_until(is_served, &server)); /* it may be hit itself */
    }
    struct load_result result = load_finish(&load);
    assert_int_equal(result.connections, many(3000));
    if (result.connections - result.ok > killed * (subject->deals ? 12 : 1))
        fail_msg("%ld connections lost for %d workers killed", result.connections - result.ok,
                 killed);
    expect_gone(victims, last); /* until then one of them may still take a connection along */
    expect_calm(&calm);
    assert_int_equal(server_stop(&server), 0);
}

/* The process that has the most descriptors: that of the one connection that there is. */
static pid_t who_holds_a_connection(const struct server *server)
{
    pid_t workers[64], most = 0;
    int count = workers_of(server->pid, workers, 64);

    for (int i = 0; i < count && i < 64; i++)
        if (most == 0 || descriptors_of(workers[i]) > descriptors_of(most))
            most = workers[i];
    return most;
}

/* Waits until so many of the connections have a reply; reads it. */
static void expect_replies(int *connections, int count, int wanted)
{
    struct pollfd ready[WORKERS];

    for (int replies = 0; replies < wanted;) {
        for (int i = 0; i < count; i++) /* poll passes over negative ones */
            ready[i] = (struct pollfd){.fd = connections[i], .events = POLLIN};
        assert_true(poll(ready, (nfds_t)count, PATIENCE * 1000) > 0);
        for (int i = 0; i < count; i++) {
            char byte;
            if (ready[i].revents == 0)
                continue;
            assert_int_equal(recv(connections[i], &byte, 1, 0), 1);
            close(connections[i]);
            connections[i] = -1;
            replies++;
        }
    }
}

static void serves_on_while_a_worker_is_stopped(void **state)
{
    struct calm calm;
    struct server server = start(&calm);
    int connections[WORKERS];
    pid_t workers[WORKERS];

    (void)state;
    connections[0] = connect_to(&server);
    exchange(connections[0], "here", 4);
    assert_true(workers_of(server.pid, workers, WORKERS) >= 1);
    if (subject->accept || subject->queue) /* an idle one would get none */
        workers[0] = who_holds_a_connection(&server);
    kill(workers[0], SIGSTOP); /* it serves connection 0, or will be given another one of them */
    for (int i = 1; i < WORKERS; i++)
        connections[i] = connect_to(&server);
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(send(connections[i], "x", 1, 0), 1);
    expect_replies(connections, WORKERS, WORKERS - 1);
    kill(workers[0], SIGCONT);
    expect_replies(connections, WORKERS, 1);
    expect_calm(&calm);
    assert_int_equal(server_stop(&server), 0);
}

/* Who accepts by itself gets no connection while it is stopped: the others serve them all. */
static void serves_all_while_an_idle_worker_is_stopped(void **state)
{
    struct calm calm;
    struct server server = start(&calm);

    (void)state;
    for (int i = 0; i < WORKERS; i++) {
        pid_t stopped = calm.workers[i];
        kill(stopped, SIGSTOP);
        assert_true(wait_until(is_stopped_process, &stopped));
        for (int j = 0; j < 20; j++)
            expect_service(&server);
        kill(stopped, SIGCONT);
        expect_calm(&calm);
    }
    assert_int_equal(server_stop(&server), 0);
}

static void ends_in_spite_of_a_stopped_worker(void **state)
{
    struct calm calm;
    struct server server = start(&calm);
    pid_t workers[WORKERS];

    (void)state;
    int held = connect_to(&server);
    exchange(held, "here", 4);
    int count = workers_of(server.pid, workers, WORKERS);
    assert_true(count >= 1);
    kill(workers[0], SIGSTOP);
    assert_int_equal(server_stop(&server), 0);
    expect_no_children_left(&server, workers, count);
    close(held);
}

/* ---- workers that are traced: who dies then can be reaped by the tracer only ---- */

/* Traces a process and stops it, as gdb at its prompt. Returns false where that is not allowed. */
static bool trace(pid_t pid)
{
    int status;

    if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) == -1) {
        print_message("# this test may not trace: %s\n", strerror(errno));
        return false;
    }
    assert_int_equal(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL), 0);
    assert_int_equal(waitpid(pid, &status, __WALL), pid);
    assert_true(WIFSTOPPED(status));
    return true;
}

/* Reaps, as its tracer, a process that is killed. */
static void release(pid_t pid)
{
    int status;

    do
        assert_int_equal(waitpid(pid, &status, __WALL), pid);
    while (WIFSTOPPED(status));
}

/* As many as at rest, besides the dead; and all of them wait, none is still starting. */
static bool has_all_but_the_dead(void *argument)
{
    const struct calm *calm = argument;
    pid_t workers[64];
    int count = workers_of(calm->server->pid, workers, 64), waiting = 0;

    for (int i = 0; i < count && i < 64; i++) {
        char state = process_state(workers[i]);
        if (state != 'Z' && state != 'S')
            return false;
        waiting += state == 'S';
    }
    return waiting >= at_least(WORKERS);
}

static void serves_on_while_a_dead_worker_is_traced(void **state)
{
    struct calm calm;
    struct server server = start(&calm);
    pid_t traced;

    (void)state;
    int held = connect_to(&server); /* its worker, or another one, is traced */
    exchange(held, "here", 4);
    assert_true(workers_of(server.pid, &traced, 1) >= 1);
    if (subject->deals) /* others might be dealt to who holds it */
        traced = who_holds_a_connection(&server);
    if (trace(traced)) {
        kill(traced, SIGKILL);
        expect_gone(&traced, 1);
        for (int i = 0; i < 20; i++)
            expect_service(&server);
        assert_true(wait_until(has_all_but_the_dead, &calm)); /* there is another in its place */
        expect_idle_cpu(&server);
        release(traced);
    }
    close(held);
    expect_calm(&calm);
    assert_int_equal(server_stop(&server), 0);
}

static void ends_in_spite_of_a_traced_worker(void **state)
{
    struct calm calm;
    struct server server = start(&calm);
    pid_t traced;

    (void)state;
    int held = connect_to(&server);
    exchange(held, "here", 4);
    assert_true(workers_of(server.pid, &traced, 1) >= 1);
    bool allowed = trace(traced);
    assert_int_equal(server_stop(&server), 0);
    if (allowed)
        release(traced);
    close(held);
}

/* ---- the master dies ---- */

static void kill_master(struct server *server, bool busy)
{
    pid_t children[WORKERS + 1];
    int connections[WORKERS] = {-1, -1, -1, -1};

    if (busy)
        hold_workers(server, connections, WORKERS);
    assert_in_range(workers_of(server->pid, NULL, 0), busy ? WORKERS : at_least(WORKERS),
                    busy ? WORKERS : at_most(WORKERS));
    int count = children_of(server->pid, children, WORKERS + 1);
    kill(server->pid, SIGKILL);
    assert_int_equal(server_wait(server), 128 + SIGKILL);
    expect_gone(children, count);
    for (int i = 0; i < WORKERS && busy; i++)
        close(connections[i]);
}

static void leaves_no_orphans_when_the_master_is_killed_idle(void **state)
{
    struct server server = start_workers(WORKERS);

    (void)state;
    kill_master(&server, false);
}

static void leaves_no_orphans_when_the_master_is_killed_while_clients_are_silent(void **state)
{
    struct server server = start_workers(WORKERS);

    (void)state;
    kill_master(&server, true);
}

static bool is_stopped(void *server)
{
    return is_stopped_process(&((struct server *)server)->pid);
}

static void leaves_no_orphans_when_the_master_is_killed_under_load(void **state)
{
    struct server server = start_workers(WORKERS);
    pid_t children[64];

    (void)state;
    struct load load = load_start(&server, 16, 100000);
    for (int i = 0; i < 20; i++)
        expect_service(&server);
    kill(server.pid, SIGSTOP); /* or it would go on to make children while they are counted */
    assert_true(wait_until(is_stopped, &server));
    int count = children_of(server.pid, children, 64);
    kill(server.pid, SIGKILL);
    assert_int_equal(server_wait(&server), 128 + SIGKILL);
    expect_gone(children, count < 64 ? count : 64);
    kill(load.pid, SIGKILL);
    waitpid(load.pid, NULL, 0);
    close(load.out);
}

/* ---- signals ---- */

static void endures_a_storm_of_signals_under_load(void **state)
{
    static const int storm[] = {SIGCHLD, SIGSTOP, SIGCONT, SIGCHLD, SIGWINCH, SIGURG};
    struct calm calm;
    struct server server = start(&calm);

    (void)state;
    struct load load = load_start(&server, 8, many(2000));
    for (int i = 0; process_state(load.pid) != 'Z'; i++) {
        kill(server.pid, storm[i % 6]);
        if (calm.count > 0)
            kill(calm.workers[i / 6 % calm.count], storm[i % 6]);
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    }
    kill(server.pid, SIGCONT);
    for (int i = 0; i < calm.count; i++)
        kill(calm.workers[i], SIGCONT);
    struct load_result result = load_finish(&load);
    assert_int_equal(result.ok, many(2000));
    expect_calm(&calm);
    assert_int_equal(server_stop(&server), 0);
}

/* ---- descriptors and processes run out ---- */

/* Limits the descriptors of a process, and returns the old limit. */
static rlim_t limit_descriptors(pid_t pid, rlim_t soft)
{
    struct rlimit old, new;

    assert_int_equal(prlimit(pid, RLIMIT_NOFILE, NULL, &old), 0);
    new = (struct rlimit){.rlim_cur = soft, .rlim_max = old.rlim_max};
    assert_int_equal(prlimit(pid, RLIMIT_NOFILE, &new, NULL), 0);
    return old.rlim_cur;
}

/* It waits for descriptors, and the clients for it. */
static void expect_patience(struct calm *calm, pid_t who)
{
    const struct server *server = calm->server;

    rlim_t before = limit_descriptors(who, 1);
    int connection = connect_to(server);
    send(connection, "x", 1, 0);
    expect_idle_cpu(server); /* the connection lies in the backlog, and nobody spins */
    expected_words = "Too many open files";
    assert_true(wait_until(has_said, (void *)server));
    expect_idle_cpu(server);
    assert_int_equal(times_said(server, expected_words), 1); /* not each time that it tries again */
    limit_descriptors(who, before);
    char byte;
    assert_int_equal(recv(connection, &byte, 1, 0), 1);
    close(connection);
    expect_calm(calm);
}

static void waits_when_the_master_runs_out_of_descriptors(void **state)
{
    struct calm calm;
    struct server server = start(&calm);

    (void)state;
    expect_patience(&calm, server.pid);
    assert_int_equal(server_stop(&server), 0);
}

static void waits_when_the_acceptor_runs_out_of_descriptors(void **state)
{
    struct calm calm;
    struct server server = start(&calm);

    (void)state;
    expect_patience(&calm, acceptor_of(server.pid));
    assert_int_equal(server_stop(&server), 0);
}

static void waits_when_the_workers_run_out_of_descriptors(void **state)
{
    struct calm calm;
    struct server server = start(&calm);
    rlim_t before = 0;

    (void)state;
    for (int i = 0; i < calm.count; i++)
        before = limit_descriptors(calm.workers[i], 1);
    int connection = connect_to(&server);
    send(connection, "x", 1, 0);
    expect_idle_cpu(&server); /* unless a new worker serves it */
    for (int i = 0; i < calm.count; i++)
        limit_descriptors(calm.workers[i], before);
    char byte;
    assert_int_equal(recv(connection, &byte, 1, 0), 1);
    close(connection);
    expect_calm(&calm);
    assert_int_equal(server_stop(&server), 0);
}

/* Where the workers accept, the master needs descriptors for nothing but new workers' gates. */
static void serves_on_when_the_master_runs_out_of_descriptors(void **state)
{
    struct calm calm;
    struct server server = start(&calm);

    (void)state;
    rlim_t before = limit_descriptors(server.pid, 1);
    kill(calm.workers[0], SIGKILL);
    expect_gone(calm.workers, 1);
    for (int i = 0; i < 20; i++)
        expect_service(&server);
    expect_idle_cpu(&server);
    limit_descriptors(server.pid, before);
    assert_true(wait_until(all_wait, &server));
    int count = workers_of(server.pid, calm.workers, WORKERS);
    kill_all(calm.workers, count, SIGKILL); /* one may have no descriptor to be watched by */
    expect_gone(calm.workers, count);
    expect_calm(&calm);
    assert_int_equal(server_stop(&server), 0);
}

/* ---- a queue, and its acceptor ---- */

static void replaces_an_acceptor_that_is_killed(void **state)
{
    struct calm calm;
    struct server server = start(&calm);

    (void)state;
    for (int i = 0; i < 5; i++) {
        pid_t acceptor = acceptor_of(server.pid);
        kill(acceptor, SIGKILL);
        expect_gone(&acceptor, 1);
        expect_calm(&calm); /* whoever comes meanwhile waits in the backlog */
    }
    assert_int_equal(server_stop(&server), 0);
}

static bool has_an_acceptor(void *server)
{
    return acceptor_of(((struct server *)server)->pid) != 0;
}

enum { QUEUED_MOST = 20 }; /* that may be in the queue, and one in the acceptor's hands */

static void loses_at_most_what_an_acceptor_holds_when_it_is_killed_under_load(void **state)
{
    struct calm calm;
    struct server server = start(&calm);
    int killed = 0;

    (void)state;
    struct load load = load_start(&server, 12, many(3000));
    while (process_state(load.pid) != 'Z' && killed < 50) {
        assert_true(wait_until(has_an_acceptor, &server));
        pid_t acceptor = acceptor_of(server.pid);
        killed += acceptor != 0 && kill(acceptor, SIGKILL) == 0;
        expect_gone(&acceptor, 1);
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    struct load_result result = load_finish(&load);
    assert_int_equal(result.connections, many(3000));
    if (result.connections - result.ok > killed * (subject->numbers ? QUEUED_MOST : 1))
        fail_msg("%ld connections lost for %d acceptors killed", result.connections - result.ok,
                 killed);
    expect_calm(&calm);
    assert_int_equal(server_stop(&server), 0);
}

static void serves_all_after_an_acceptor_was_stopped(void **state)
{
    struct calm calm;
    struct server server = start(&calm);
    int connections[WORKERS];

    (void)state;
    pid_t acceptor = acceptor_of(server.pid);
    kill(acceptor, SIGSTOP);
    assert_true(wait_until(is_stopped_process, &acceptor));
    for (int i = 0; i < WORKERS; i++) {
        connections[i] = connect_to(&server);
        assert_int_equal(send(connections[i], "x", 1, 0), 1);
    }
    expect_idle_cpu(&server);
    kill(acceptor, SIGCONT);
    expect_replies(connections, WORKERS, WORKERS);
    expect_calm(&calm);
    assert_int_equal(server_stop(&server), 0);
}

/* How many connections wait in the listener's backlog: rx_queue in proc_net_tcp(5). */
static int in_the_backlog(const struct server *server)
{
    char line[256];
    FILE *file = fopen("/proc/net/tcp", "re");
    unsigned port, state, waiting;
    int found = -1;

    assert_non_null(file);
    while (found == -1 && fgets(line, sizeof(line), file))
        if (sscanf(line, "%*d: %*8x:%x %*8x:%*x %x %*x:%x", &port, &state, &waiting) == 3 &&
            port == (unsigned)server->port && state == 10)
            found = (int)waiting;
    fclose(file);
    return found;
}

/* Clients that come while each worker is held: how many of them are not in the backlog any more,
 * when nothing changes. */
static int accepted_of(const struct server *server, int waiting[], int count)
{
    for (int i = 0; i < count; i++)
        waiting[i] = connect_to(server);
    int accepted = -1, before;
    do {
        before = accepted;
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
        accepted = count - in_the_backlog(server);
    } while (accepted != before || accepted == 0);
    return accepted;
}

static void holds_few_connections_in_its_queue(void **state)
{
    enum { CLIENTS = 100 };
    struct calm calm;
    struct server server = start(&calm);
    int held[WORKERS], waiting[CLIENTS];

    (void)state;
    hold_workers(&server, held, WORKERS);
    assert_in_range(accepted_of(&server, waiting, CLIENTS), 1, QUEUED_MOST);
    for (int i = 0; i < WORKERS; i++)
        close(held[i]);
    for (int i = 0; i < CLIENTS; i++) {
        exchange(waiting[i], "me too", 6);
        close(waiting[i]);
    }
    expect_calm(&calm);
    assert_int_equal(server_stop(&server), 0);
}

static void says_what_was_lost_in_the_queue(void **state)
{
    struct calm calm;
    struct server server = start(&calm);
    int held[WORKERS], waiting[3];
    char byte;

    (void)state;
    hold_workers(&server, held, WORKERS);
    assert_int_equal(accepted_of(&server, waiting, 3), 3);
    int errors = dup(server.errors);
    assert_int_equal(server_stop(&server), 0);
    server.errors = errors;
    assert_int_equal(times_said(&server, "3 connections lost"), 1);
    for (int i = 0; i < 3; i++) {
        assert_true(recv(waiting[i], &byte, 1, 0) <= 0);
        close(waiting[i]);
    }
    for (int i = 0; i < WORKERS; i++)
        close(held[i]);
    close(errors);
}

/* ---- what cannot be promised where workers take turns by a lock: exactly this ---- */

/* The system call in which a process waits; -1 where that is not to be seen. */
static long waits_in(pid_t pid)
{
    char path[64];
    long call = -1;

    snprintf(path, sizeof(path), "/proc/%d/syscall", (int)pid);
    FILE *file = fopen(path, "re");
    if (file && fscanf(file, "%ld", &call) != 1)
        call = -1;
    if (file)
        fclose(file);
    return call;
}

/* The worker that holds the lock, and so waits in another call than all others; 0 while there is
 * none. (What accept4 and futex are called by number differs with the subject's machine.) */
static pid_t who_accepts(const struct server *server)
{
    pid_t workers[WORKERS];
    long calls[WORKERS];

    if (workers_of(server->pid, workers, WORKERS) != WORKERS)
        return 0;
    for (int i = 0; i < WORKERS; i++)
        if ((calls[i] = waits_in(workers[i])) == -1)
            return 0;
    for (int i = 0; i < WORKERS; i++) {
        long others = calls[(i + 1) % WORKERS];
        bool alone = calls[i] != others;
        for (int j = 0; j < WORKERS; j++)
            alone = alone && (j == i || calls[j] == others);
        if (alone)
            return workers[i];
    }
    return 0;
}

static bool somebody_accepts(void *server)
{
    return who_accepts(server) != 0;
}

static void a_stopped_holder_of_the_lock_holds_all_up_until_it_goes_on_or_dies(void **state)
{
    struct calm calm;
    struct server server = start(&calm);
    char byte;

    (void)state;
    if (access("/proc/self/syscall", R_OK) != 0) {
        print_message("# this kernel does not tell in which call a process waits\n");
        return;
    }
    for (int round = 0; round < 4; round++) {
        assert_true(wait_until(somebody_accepts, &server));
        pid_t holder = who_accepts(&server);
        kill(holder, SIGSTOP);
        assert_true(wait_until(is_stopped_process, &holder));
        int connection = connect_to(&server);
        assert_int_equal(send(connection, "x", 1, 0), 1);
        expect_idle_cpu(&server); /* three workers are idle; time enough for each of them */
        assert_int_equal(recv(connection, &byte, 1, MSG_DONTWAIT), -1);
        kill(holder, round % 2 ? SIGCONT : SIGKILL); /* the dead one's lock is the next one's */
        assert_int_equal(recv(connection, &byte, 1, 0), 1);
        close(connection);
        expect_calm(&calm);
    }
    assert_int_equal(server_stop(&server), 0);
}

/* ---- what cannot be promised where the kernel deals: exactly this ---- */

enum { DEALT = 60 };

/* Clients that come while one worker is held: each has sent a byte. */
static void deal(const struct server *server, struct pollfd clients[DEALT])
{
    for (int i = 0; i < DEALT; i++) {
        clients[i] = (struct pollfd){.fd = connect_to(server), .events = POLLIN};
        assert_int_equal(send(clients[i].fd, "x", 1, 0), 1);
        shutdown(clients[i].fd, SHUT_WR);
    }
}

static bool only_the_held_is_busy(void *argument)
{
    const struct calm *calm = argument;
    int busy = 0;

    for (int i = 0; i < calm->count; i++) {
        if (process_state(calm->workers[i]) != 'S')
            return false;
        busy += descriptors_of(calm->workers[i]) > calm->descriptors_of_worker;
    }
    return busy == 1;
}

/* How many have no answer, and no end, though three of four workers are idle. */
static int still_waiting(struct calm *calm, struct pollfd clients[DEALT])
{
    int waiting = 0;

    assert_true(wait_until(only_the_held_is_busy, calm));
    poll(clients, DEALT, 0);
    for (int i = 0; i < DEALT; i++)
        waiting += clients[i].revents == 0;
    return waiting;
}

static void close_all(struct pollfd clients[DEALT])
{
    for (int i = 0; i < DEALT; i++)
        close(clients[i].fd);
}

static void clients_dealt_to_a_busy_worker_wait_for_it_and_no_others(void **state)
{
    struct calm calm;
    struct server server = start(&calm);
    struct pollfd clients[DEALT];
    char byte;

    (void)state;
    int held = connect_to(&server);
    exchange(held, "here", 4);
    deal(&server, clients);
    assert_in_range(still_waiting(&calm, clients), 1, DEALT - 1);
    close(held);
    for (int i = 0; i < DEALT; i++)
        assert_int_equal(recv(clients[i].fd, &byte, 1, 0), 1);
    close_all(clients);
    expect_calm(&calm);
    assert_int_equal(server_stop(&server), 0);
}

/* A worker that is killed while clients wait for it: how many of them are lost. */
static int lost_with_a_worker(int *waited)
{
    struct calm calm;
    struct server server = start(&calm);
    struct pollfd clients[DEALT];
    int lost = 0;
    char byte;

    int held = connect_to(&server);
    exchange(held, "here", 4);
    deal(&server, clients);
    *waited = still_waiting(&calm, clients);
    kill(who_holds_a_connection(&server), SIGKILL);
    for (int i = 0; i < DEALT; i++)
        lost += recv(clients[i].fd, &byte, 1, 0) != 1;
    assert_true(recv(held, &byte, 1, 0) <= 0);
    close(held);
    close_all(clients);
    expect_calm(&calm);
    assert_int_equal(server_stop(&server), 0);
    return lost;
}

static void a_killed_worker_loses_what_was_dealt_to_it_and_no_more(void **state)
{
    int waited, lost = lost_with_a_worker(&waited);

    (void)state;
    assert_in_range(waited, 1, DEALT - 1);
    assert_int_equal(lost, waited);
}

/* tcp_migrate_req, in a network of the test's own: what waits goes over to another listener. */
static void where_the_kernel_migrates_it_loses_its_connection_only(void **state)
{
    int before = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), waited;

    (void)state;
    if (unshare(CLONE_NEWNET) == -1) {
        print_message("# this test may make no network namespace: %s\n", strerror(errno));
        close(before);
        return;
    }
    int lo = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    assert_int_equal(ioctl(lo, SIOCSIFFLAGS, &up), 0);
    close(lo);
    int setting = open("/proc/sys/net/ipv4/tcp_migrate_req", O_WRONLY | O_CLOEXEC);
    if (setting == -1) {
        print_message("# this kernel does not migrate: %s\n", strerror(errno));
    } else {
        assert_int_equal(write(setting, "1", 1), 1);
        close(setting);
        assert_int_equal(lost_with_a_worker(&waited), 0);
        assert_in_range(waited, 1, DEALT - 1);
    }
    assert_int_equal(setns(before, CLONE_NEWNET), 0);
    close(before);
}

static void replaces_a_worker_that_can_receive_no_descriptor(void **state)
{
    struct calm calm;
    struct server server = start(&calm);
    char byte;

    (void)state;
    for (int i = 0; i < calm.count; i++)
        limit_descriptors(calm.workers[i], 1);
    /* Each of them loses the connection that it could not receive, and no other. */
    for (int i = 0; i < WORKERS; i++) {
        int connection = connect_to(&server);
        send(connection, "x", 1, MSG_NOSIGNAL);
        recv(connection, &byte, 1, 0);
        close(connection);
    }
    struct load load = load_start(&server, 8, 200);
    struct load_result result = load_finish(&load);
    assert_in_range(result.connections - result.ok, 0, WORKERS);
    expect_calm(&calm);
    assert_int_equal(server_stop(&server), 0);
}

/* Limits the processes of a user, as that user: to root another user's limits may be closed. */
static void limit_processes(uid_t user, pid_t pid, rlim_t soft)
{
    pid_t child = fork();
    int status;

    assert_true(child != -1);
    if (child == 0) {
        struct rlimit new;
        if (setresgid(user, user, user) == -1 || setresuid(user, user, user) == -1 ||
            prlimit(pid, RLIMIT_NPROC, NULL, &new) == -1)
            _exit(1);
        new.rlim_cur = soft;
        _exit(prlimit(pid, RLIMIT_NPROC, &new, NULL) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* Copies a program to where an ordinary user may run it. */
static void copy_program(const char *from, const char *to)
{
    struct output output = run("/bin/cp", from, to, NULL);

    assert_int_equal(output.status, 0);
    output_free(&output);
}

static void waits_when_processes_run_out(void **state)
{
    char directory[] = "/tmp/server-test-XXXXXX", server_path[64], worker_path[64];

    (void)state;
    if (geteuid() != 0) {
        print_message("# only root can become a user who may not fork\n");
        return;
    }
    /* RLIMIT_NPROC does not bind root: run as a user who has no name and no other process. */
    assert_non_null(mkdtemp(directory));
    assert_int_equal(chmod(directory, 0755), 0);
    snprintf(server_path, sizeof(server_path), "%s/server", directory);
    snprintf(worker_path, sizeof(worker_path), "%s/worker", directory);
    copy_program(built(subject->program), server_path);
    if (subject->exec) {
        char worker[4096];
        snprintf(worker, sizeof(worker), "%.*s/worker",
                 (int)(subject_called() - 1 - subject->program), subject->program);
        copy_program(built(worker), worker_path);
    }
    char user[16];
    uid_t uid = 1000000 + (uid_t)getpid();
    snprintf(user, sizeof(user), "%u", uid);
    const char *arguments[] = {"/usr/bin/setpriv",
                               "--reuid",
                               user,
                               "--regid",
                               user,
                               "--clear-groups",
                               "--pdeathsig",
                               "KILL",
                               server_path,
                               "-p",
                               "0",
                               "4",
                               NULL,
                               NULL,
                               NULL};
    if (subject->programs) /* the copy of its own */
        memcpy(&arguments[11], (const char *[]){"-w", worker_path, "4"}, 3 * sizeof(*arguments));
    struct server server = server_start(arguments);
    struct calm calm = {.server = &server};

    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NPROC, &before), 0);
    limit_processes(uid, server.pid, 1);
    if (at_least(WORKERS) >
        1) { /* the others serve on; the place of the dead one is filled later */
        pid_t workers[WORKERS];
        int count = workers_of(server.pid, workers, WORKERS);
        assert_in_range(count, at_least(WORKERS), at_most(WORKERS));
        kill(workers[0], SIGKILL);
        expect_gone(workers, 1);
        for (int i = 0; i < 20; i++)
            expect_service(&server);
        expect_idle_cpu(&server);
        assert_in_range(workers_of(server.pid, workers, WORKERS), at_least(WORKERS) - 1, count - 1);
        limit_processes(uid, server.pid, before.rlim_cur);
    } else { /* the connection waits for its child */
        int connection = connect_to(&server);
        char byte;
        send(connection, "x", 1, 0);
        expect_idle_cpu(&server);
        limit_processes(uid, server.pid, before.rlim_cur);
        assert_int_equal(recv(connection, &byte, 1, 0), 1);
        close(connection);
    }
    expect_calm(&calm);
    assert_int_equal(server_stop(&server), 0);
    unlink(server_path);
    unlink(worker_path);
    rmdir(directory);
}

/* ---- worker programs that are none ---- */

/* The server ends, with one line that says why. */
static void expect_refusal(const char *program, const char *why)
{
    struct output output =
        run(built(subject->program), "-p", "0", "-s", start_seconds(), "-w", program, "4", NULL);

    if (output.status != 1 || output.out[0] != '\0' || !is_of_subject(output.err) ||
        strchr(output.err, '\n') != output.err + strlen(output.err) - 1 || !strstr(output.err, why))
        fail_msg("-w %s: wanted one line with \"%s\"; status %d, out \"%s\", err \"%s\"", program,
                 why, output.status, output.out, output.err);
    output_free(&output);
}

static void refuses_a_worker_program_that_is_missing(void **state)
{
    (void)state;
    expect_refusal("/nonexistent/worker", "/nonexistent/worker: No such file or directory");
}

static void refuses_a_worker_program_that_is_not_executable(void **state)
{
    (void)state;
    expect_refusal(source("README.md"), "Permission denied");
}

static void refuses_a_worker_program_that_is_a_directory(void **state)
{
    (void)state;
    expect_refusal("/tmp", "Permission denied");
}

/* Writes an executable file. The caller removes it. */
static void write_program(char *path, const char *text)
{
    int file = mkstemp(path);

    assert_true(file != -1);
    assert_int_equal(write(file, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(fchmod(file, 0755), 0);
    close(file);
}

static void expect_refusal_of(const char *text, const char *why)
{
    char path[] = "/tmp/worker-test-XXXXXX";

    write_program(path, text);
    expect_refusal(path, why);
    unlink(path);
}

static void refuses_a_worker_program_of_no_known_format(void **state)
{
    (void)state;
    expect_refusal_of("this is no program\n", "Exec format error");
}

static void refuses_a_worker_program_that_exits_at_once(void **state)
{
    (void)state;
    expect_refusal("/bin/true", "ended with status 0 before it was idle");
    expect_refusal_of("#!/bin/sh\nexit 3\n", "ended with status 3 before it was idle");
}

static void refuses_a_worker_program_that_crashes_at_once(void **state)
{
    (void)state;
    expect_refusal_of("#!/bin/sh\nkill -SEGV $$\n", "died of signal 11");
}

static void refuses_a_worker_program_that_leaves_its_work_to_a_child(void **state)
{
    (void)state;
    /* The child begins when its parent has been waited for, and so is nobody's any more. */
    expect_refusal_of("#!/bin/sh\nexec 3<&0\n"
                      "(while kill -0 $$; do sleep 0.01; done; printf '\\0' >&3) 2>&- &\n",
                      "ended with status 0 before it was idle");
}

static void refuses_a_worker_program_that_never_reports(void **state)
{
    char why[64];

    (void)state;
    snprintf(why, sizeof(why), "has not reported for %s seconds", start_seconds());
    expect_refusal_of("#!/bin/sh\nexec sleep 100\n", why);
}

static bool has_its_workers(void *server)
{
    return workers_of(((struct server *)server)->pid, NULL, 0) >= at_least(WORKERS);
}

static void ends_by_sigterm_while_it_waits_for_its_workers(void **state)
{
    char path[] = "/tmp/worker-test-XXXXXX";

    (void)state;
    write_program(path, "#!/bin/sh\nexec sleep 100\n");
    const char *arguments[] = {
        built(subject->program), "-p", "0", "-s", start_seconds(), "-w", path, "4", NULL};
    struct server server = server_spawn(arguments);
    assert_true(wait_until(has_its_workers, &server));
    assert_int_equal(server_stop(&server), 0);
    unlink(path);
}

static void does_not_spin_on_a_worker_program_that_exits_when_it_is_idle(void **state)
{
    char path[] = "/tmp/worker-test-XXXXXX", starts_path[64];
    struct timespec begin, end;
    struct stat starts;

    (void)state;
    /* Each start adds a byte to a file. */
    write_program(path, "#!/bin/sh\nprintf x >>\"$0.starts\"\nprintf '\\0' >&0\n");
    snprintf(starts_path, sizeof(starts_path), "%s.starts", path);
    const char *arguments[] = {
        built(subject->program), "-p", "0", "-s", start_seconds(), "-w", path, "1", NULL};
    clock_gettime(CLOCK_MONOTONIC, &begin);
    struct server server = server_start(arguments);
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL); /* an interval to count in */
    assert_int_equal(server_stop(&server), 0);
    clock_gettime(CLOCK_MONOTONIC, &end);
    /* A tenth of a second lies between two, however slow the machine is. */
    int64_t passed_ms =
        (end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000;
    assert_int_equal(stat(starts_path, &starts), 0);
    assert_in_range(starts.st_size, 1, passed_ms / 100 + 2);
    unlink(starts_path);
    unlink(path);
}

/* A worker program that can be taken away: it becomes the real worker. The caller removes it. */
static struct server start_program(char *path, const char *first_lines)
{
    char text[8192];

    snprintf(text, sizeof(text), "#!/bin/sh\n%sexec '%s'\n", first_lines,
             built("chapters/05-exec-workers/worker"));
    write_program(path, text);
    const char *arguments[] = {
        built(subject->program), "-p", "0", "-s", start_seconds(), "-w", path, "4", NULL};
    struct server server = server_start(arguments);
    expect_service(&server);
    return server;
}

static void kill_one_worker(const struct server *server)
{
    pid_t worker;

    assert_true(workers_of(server->pid, &worker, 1) >= 1);
    kill(worker, SIGKILL);
    expect_gone(&worker, 1);
}

/* During a deploy the program is absent for a moment. The others serve on, and it comes back. */
static void serves_on_while_its_worker_program_is_absent(void **state)
{
    char path[] = "/tmp/worker-test-XXXXXX", away[64];

    (void)state;
    struct server server = start_program(path, "");
    struct calm calm = {.server = &server};
    snprintf(away, sizeof(away), "%s.away", path);
    assert_int_equal(rename(path, away), 0);
    kill_one_worker(&server);
    expected_words = "will try again";
    assert_true(wait_until(has_said, &server));
    for (int i = 0; i < 20; i++)
        expect_service(&server);
    expect_idle_cpu(&server);
    assert_int_equal(times_said(&server, expected_words), 1);
    assert_int_equal(rename(away, path), 0);
    expect_calm(&calm); /* all workers are there */
    assert_int_equal(server_stop(&server), 0);
    unlink(path);
}

static void replaces_a_worker_that_hangs_at_its_start(void **state)
{
    char path[] = "/tmp/worker-test-XXXXXX", hang[64], words[64];

    (void)state;
    struct server server = start_program(path, "[ ! -e \"$0.hang\" ] || exec sleep 1000\n");
    struct calm calm = {.server = &server};
    snprintf(hang, sizeof(hang), "%s.hang", path);
    assert_int_equal(close(open(hang, O_CREAT | O_WRONLY, 0600)), 0);
    kill_one_worker(&server);
    snprintf(words, sizeof(words), "has not reported for %s seconds", start_seconds());
    expected_words = words;
    assert_true(wait_until(has_said, &server));
    expect_service(&server);
    unlink(hang);
    expect_calm(&calm);
    assert_int_equal(server_stop(&server), 0);
    unlink(path);
}

/* A program that the worker has started inherits its channel: so no end-of-file tells of its death.
 */
static void replaces_a_worker_whose_channel_somebody_still_holds(void **state)
{
    char path[] = "/tmp/worker-test-XXXXXX", pids_path[64], pids[256] = "";

    (void)state;
    /* By way of 3: where a shell starts it with &, descriptor 0 is /dev/null. */
    struct server server =
        start_program(path, "exec 3<&0; sleep 100 <&3 3<&- & echo $! >>\"$0.pids\"; exec 3<&-\n");
    struct calm calm = {.server = &server};
    for (int i = 0; i < 8; i++) {
        kill_one_worker(&server);
        for (int j = 0; j < 8; j++)
            expect_service(&server); /* no connection is sent to a corpse */
    }
    expect_calm(&calm);
    assert_int_equal(server_stop(&server), 0);

    snprintf(pids_path, sizeof(pids_path), "%s.pids", path);
    int file = open(pids_path, O_RDONLY | O_CLOEXEC);
    assert_true(read(file, pids, sizeof(pids) - 1) > 0);
    close(file);
    for (char *word = strtok(pids, "\n"); word; word = strtok(NULL, "\n"))
        kill(atoi(word), SIGKILL);
    unlink(pids_path);
    unlink(path);
}

/* As bwrap does: it stays, holds the channel as well, and the worker is its child. */
static void ends_a_worker_behind_a_program_that_stays(void **state)
{
    char path[] = "/tmp/worker-test-XXXXXX", lines[4200];
    pid_t between[4], workers[4];
    int connections[4];

    (void)state;
    snprintf(lines, sizeof(lines), "exec 3<&0; '%s' <&3 3<&- & wait; exit\n",
             built("chapters/05-exec-workers/worker"));
    struct server server = start_program(path, lines);
    for (int i = 0; i < 4; i++) {
        connections[i] = connect_to(&server);
        exchange(connections[i], "here", 4);
    }
    assert_int_equal(workers_of(server.pid, between, 4), 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(children_of(between[i], &workers[i], 1), 1);
    kill(server.pid, SIGKILL);
    assert_int_equal(server_wait(&server), 128 + SIGKILL);
    expect_gone(workers, 4);
    for (int i = 0; i < 4; i++)
        close(connections[i]);
    unlink(path);
}

/* What this test has open under the same number was there before the server: it is not the
 * master's. */
static bool is_of_the_master(pid_t worker, int fd)
{
    char path[64], its[64] = "", own[64] = "";

    snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)worker, fd);
    if (readlink(path, its, sizeof(its) - 1) == -1)
        return false;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (readlink(path, own, sizeof(own) - 1) != -1 && strcmp(own, its) == 0)
        return false;
    return strncmp(its, "socket:", 7) == 0 || strncmp(its, "anon_inode:", 11) == 0;
}

static void a_worker_program_inherits_its_channel_and_nothing_else(void **state)
{
    struct calm calm;
    struct server server = start(&calm);

    (void)state;
    for (int i = 0; i < calm.count; i++) {
        int theirs = 0;
        for (int fd = STDIN_FILENO; fd < 1024; fd++)
            theirs += is_of_the_master(calm.workers[i], fd);
        assert_int_equal(theirs, 1);
        /* Where the next program that it starts would inherit it, its channel is not. */
        assert_false(is_of_the_master(calm.workers[i], STDIN_FILENO));
    }
    assert_int_equal(server_stop(&server), 0);
}

int main(int argc, char **argv)
{
    (void)argc;
    subject_find(argv[0]);
    bool pool = at_least(WORKERS) > 0;
    bool takes_programs = subject->programs;
    /* Where there is no channel this takes a pidfd, and valgrind 3.19 knows no pidfd_open. */
    bool sees_deaths = !(subject->accept || subject->queue) || !getenv("TEST_WRAPPER");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaks_nothing_over_many_connections),
        cmocka_unit_test(loses_only_the_connection_of_a_busy_worker_that_is_killed),
        cmocka_unit_test(loses_at_most_one_connection_for_each_worker_killed_under_load),
        test_if(!subject->deals, serves_on_while_a_worker_is_stopped),
        test_if((subject->accept && !subject->lock && !subject->deals) || subject->queue,
                serves_all_while_an_idle_worker_is_stopped),
        cmocka_unit_test(ends_in_spite_of_a_stopped_worker),
        test_if(sees_deaths, serves_on_while_a_dead_worker_is_traced),
        cmocka_unit_test(ends_in_spite_of_a_traced_worker),
        cmocka_unit_test(leaves_no_orphans_when_the_master_is_killed_idle),
        cmocka_unit_test(leaves_no_orphans_when_the_master_is_killed_while_clients_are_silent),
        cmocka_unit_test(leaves_no_orphans_when_the_master_is_killed_under_load),
        cmocka_unit_test(endures_a_storm_of_signals_under_load),
        test_if(!subject->accept && !subject->queue, waits_when_the_master_runs_out_of_descriptors),
        test_if(subject->queue, waits_when_the_acceptor_runs_out_of_descriptors),
        test_if(subject->queue, replaces_an_acceptor_that_is_killed),
        test_if(subject->queue, loses_at_most_what_an_acceptor_holds_when_it_is_killed_under_load),
        test_if(subject->queue, serves_all_after_an_acceptor_was_stopped),
        test_if(subject->queue, holds_few_connections_in_its_queue),
        test_if(subject->queue, says_what_was_lost_in_the_queue),
        test_if(subject->accept || subject->queue,
                serves_on_when_the_master_runs_out_of_descriptors),
        test_if(subject->accept, waits_when_the_workers_run_out_of_descriptors),
        test_if(subject->lock, a_stopped_holder_of_the_lock_holds_all_up_until_it_goes_on_or_dies),
        test_if(subject->deals, clients_dealt_to_a_busy_worker_wait_for_it_and_no_others),
        test_if(subject->deals, a_killed_worker_loses_what_was_dealt_to_it_and_no_more),
        test_if(subject->deals, where_the_kernel_migrates_it_loses_its_connection_only),
        cmocka_unit_test(waits_when_processes_run_out),
        test_if(pool, replaces_idle_workers_that_are_killed),
        test_if(pool, replaces_all_workers_killed_at_once),
        test_if(pool, uses_every_worker_after_some_were_replaced),
        test_if(subject->hand_over || subject->queue,
                replaces_a_worker_that_can_receive_no_descriptor),
        test_if(takes_programs, refuses_a_worker_program_that_is_missing),
        test_if(takes_programs, refuses_a_worker_program_that_is_not_executable),
        test_if(takes_programs, refuses_a_worker_program_that_is_a_directory),
        test_if(takes_programs, refuses_a_worker_program_of_no_known_format),
        test_if(takes_programs, refuses_a_worker_program_that_exits_at_once),
        test_if(takes_programs, refuses_a_worker_program_that_crashes_at_once),
        test_if(takes_programs, refuses_a_worker_program_that_leaves_its_work_to_a_child),
        test_if(takes_programs, refuses_a_worker_program_that_never_reports),
        test_if(takes_programs, ends_by_sigterm_while_it_waits_for_its_workers),
        test_if(takes_programs, does_not_spin_on_a_worker_program_that_exits_when_it_is_idle),
        test_if(takes_programs, serves_on_while_its_worker_program_is_absent),
        test_if(takes_programs, replaces_a_worker_that_hangs_at_its_start),
        test_if(takes_programs, replaces_a_worker_whose_channel_somebody_still_holds),
        test_if(takes_programs, ends_a_worker_behind_a_program_that_stays),
        test_if(takes_programs && (subject->hand_over || subject->queue),
                a_worker_program_inherits_its_channel_and_nothing_else),
    };

    return run_chosen(tests);
}
