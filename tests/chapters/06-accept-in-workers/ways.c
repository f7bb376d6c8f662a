/*
 * Unit test of chapters/06-accept-in-workers/ways.c. Workers are real processes, and what wakes
 * them is counted by the kernel.
 */
#include "support.h"

#include "listener.h"
#include "process.h"
#include "ways.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS = 4, ROUNDS = 10 };

static struct shared {
    pthread_mutex_t lock;
    atomic_int accepted[WORKERS];
} * shared;
static int listener;
static pid_t workers[WORKERS];

static const struct way *way_named(const char *name)
{
    for (const struct way *way = ways; way->name; way++)
        if (strcmp(way->name, name) == 0)
            return way;
    fail_msg("there is no way \"%s\"", name);
    return NULL;
}

static struct gate gate_of(const struct way *way)
{
    struct gate gate = {.listener = listener, .epoll = -1, .lock = &shared->lock};

    fcntl(listener, F_SETFL, way->blocks ? 0 : O_NONBLOCK);
    if (way->open)
        assert_int_equal(way->open(&gate), 0);
    return gate;
}

static int set_up(void **state)
{
    (void)state;
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    lock_make(&shared->lock);
    listener = listener_open("127.0.0.1", 0);
    return listener == -1;
}

static int tear_down(void **state)
{
    (void)state;
    children_end(workers, WORKERS, 0);
    close(listener);
    return munmap(shared, sizeof(*shared));
}

static int client_of(int to)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)local_port(to))};
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
    return client;
}

/* ---- one worker ---- */

static void every_way_accepts_what_is_blocking_and_close_on_exec(void **state)
{
    (void)state;
    for (const struct way *way = ways; way->name; way++) {
        struct gate gate = gate_of(way);
        int client = client_of(listener), connection = way->next(&gate);
        assert_true(connection != -1);
        assert_int_equal(fcntl(connection, F_GETFD), FD_CLOEXEC);
        assert_int_equal(fcntl(connection, F_GETFL) & O_NONBLOCK, 0);
        close(connection);
        close(client);
        if (gate.epoll != -1)
            close(gate.epoll);
    }
}

static void each_gate_has_an_epoll_instance_of_its_own(void **state)
{
    const struct way *way = way_named("epoll");
    struct gate first = gate_of(way), second = {.listener = listener_open("127.0.0.1", 0)};

    (void)state;
    assert_int_equal(way->open(&second), 0);
    int client = client_of(first.listener);
    struct pollfd news[] = {{.fd = first.epoll, .events = POLLIN},
                            {.fd = second.epoll, .events = POLLIN}};
    assert_int_equal(poll(news, 2, PATIENCE * 1000), 1);
    assert_int_equal(news[1].revents, 0);
    close(client);
    close(second.listener);
    close(second.epoll);
    close(first.epoll);
}

static void select_refuses_a_listener_that_it_cannot_watch(void **state)
{
    struct rlimit before, more;
    struct gate gate = {.epoll = -1};

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    more = (struct rlimit){.rlim_cur = before.rlim_max, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &more), 0);
    gate.listener = fcntl(listener, F_DUPFD_CLOEXEC, 1024);
    if (gate.listener != -1) { /* else nobody here can have so many */
        assert_int_equal(way_named("select")->open(&gate), -1);
        assert_int_equal(errno, ERANGE);
        close(gate.listener);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* A kernel before 4.5: it takes what it does not know for nothing. */
static bool knows_no_exclusive;
int __real_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);

int __wrap_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    if (knows_no_exclusive)
        event->events &= ~(uint32_t)EPOLLEXCLUSIVE;
    return __real_epoll_ctl(epoll, operation, fd, event);
}

static void epoll_refuses_a_kernel_that_would_wake_all(void **state)
{
    struct gate gate = {.listener = listener};
    int count = descriptors_of(getpid());

    (void)state;
    knows_no_exclusive = true;
    int result = way_named("epoll")->open(&gate), error = errno;
    knows_no_exclusive = false;
    assert_int_equal(result, -1);
    assert_int_equal(error, EOPNOTSUPP);
    assert_int_equal(descriptors_of(getpid()), count);
}

static void what_epoll_cannot_open_or_watch_leaves_nothing_open(void **state)
{
    struct gate gate = {.listener = open("/dev/null", O_RDONLY | O_CLOEXEC)};
    struct rlimit before, none;
    int count = descriptors_of(getpid());

    (void)state;
    assert_int_equal(way_named("epoll")->open(&gate), -1);
    assert_int_equal(errno, EPERM); /* a file cannot be watched */
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int result = way_named("epoll")->open(&gate), error = errno;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(result, -1);
    assert_int_equal(error, EMFILE);
    assert_int_equal(descriptors_of(getpid()), count);
    close(gate.listener);
}

static void the_lock_of_a_dead_holder_is_the_next_one_s(void **state)
{
    const struct way *way = way_named("lock");
    struct gate gate = gate_of(way);

    (void)state;
    for (int i = 0; i < 3; i++) {
        workers[0] = fork_child();
        if (workers[0] == 0) {
            int result = pthread_mutex_lock(&shared->lock); /* the dead one's, from the second on */
            _exit(result == (i > 0 ? EOWNERDEAD : 0) ? 0 : 1);
        }
        int status;
        assert_int_equal(waitpid(workers[0], &status, 0), workers[0]);
        workers[0] = 0;
        assert_int_equal(status, 0);
    }
    int client = client_of(listener), connection = way->next(&gate);
    assert_true(connection != -1);
    close(connection);
    close(client);
    assert_int_equal(pthread_mutex_trylock(&shared->lock), 0); /* free, and in order */
    pthread_mutex_unlock(&shared->lock);
}

static void an_error_of_accept_leaves_the_lock_free(void **state)
{
    struct gate gate = {.listener = -1, .lock = &shared->lock};

    (void)state;
    assert_int_equal(way_named("lock")->next(&gate), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(pthread_mutex_trylock(&shared->lock), 0);
    pthread_mutex_unlock(&shared->lock);
}

/* ---- several ---- */

static void start_workers_of(const struct way *way)
{
    for (int i = 0; i < WORKERS; i++) {
        struct gate gate = gate_of(way); /* in the master, as in the server */
        workers[i] = fork_child();
        assert_true(workers[i] != -1);
        while (workers[i] == 0) {
            int connection = way->next(&gate);
            if (connection != -1) {
                shared->accepted[i]++;
                close(connection);
            }
        }
        if (gate.epoll != -1)
            close(gate.epoll);
    }
}

static bool all_sleep(void *unused)
{
    (void)unused;
    for (int i = 0; i < WORKERS; i++)
        if (process_state(workers[i]) != 'S')
            return false;
    return true;
}

/* How often a process has waited: voluntary_ctxt_switches in proc(5). */
static long waits_of(pid_t pid)
{
    char path[64], line[128];
    long waits = -1;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file))
        if (sscanf(line, "voluntary_ctxt_switches: %ld", &waits) == 1)
            break;
    if (file)
        fclose(file);
    return waits;
}

static int accepted_by_all(void)
{
    int sum = 0;

    for (int i = 0; i < WORKERS; i++)
        sum += shared->accepted[i];
    return sum;
}

static int wanted;
static bool are_accepted(void *unused)
{
    return accepted_by_all() == wanted && all_sleep(unused);
}

/* Connections one after the other, while all workers wait: how often those have waited again that
 * did not get them. */
static long woken_in_vain(const struct way *way)
{
    long before[WORKERS], vain = 0;

    start_workers_of(way);
    assert_true(wait_until(all_sleep, NULL));
    for (wanted = 1; wanted <= ROUNDS; wanted++) {
        int had[WORKERS];
        for (int i = 0; i < WORKERS; i++) {
            before[i] = waits_of(workers[i]);
            had[i] = shared->accepted[i];
        }
        int client = client_of(listener);
        assert_true(wait_until(are_accepted, NULL));
        close(client);
        for (int i = 0; i < WORKERS; i++)
            if (shared->accepted[i] == had[i])
                vain += waits_of(workers[i]) - before[i];
    }
    children_end(workers, WORKERS, 0);
    return vain;
}

static void one_worker_is_woken_for_a_connection(void **state)
{
    (void)state;
    assert_int_equal(woken_in_vain(way_named("accept")), 0);
    for (int i = 0; i < WORKERS; i++)
        shared->accepted[i] = 0;
    assert_in_range(woken_in_vain(way_named("epoll")), 0, ROUNDS / 2); /* "one or more" */
}

static void the_next_in_line_gets_the_lock_and_nobody_else_wakes(void **state)
{
    (void)state;
    /* Who takes the lock over has been woken for it, and waits again, in accept. */
    assert_in_range(woken_in_vain(way_named("lock")), ROUNDS / 2, ROUNDS + ROUNDS / 2);
}

static void in_select_all_are_woken(void **state)
{
    (void)state;
    assert_true(woken_in_vain(way_named("select")) >= (WORKERS - 1) * ROUNDS / 2);
}

static void who_waits_longest_in_accept_is_the_next(void **state)
{
    const struct way *way = way_named("accept");

    (void)state;
    start_workers_of(way);
    assert_true(wait_until(all_sleep, NULL));
    for (wanted = 1; wanted <= 3 * WORKERS; wanted++) {
        int client = client_of(listener);
        assert_true(wait_until(are_accepted, NULL));
        close(client);
    }
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(shared->accepted[i], 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_way_accepts_what_is_blocking_and_close_on_exec),
        TEST(each_gate_has_an_epoll_instance_of_its_own),
        TEST(select_refuses_a_listener_that_it_cannot_watch),
        TEST(epoll_refuses_a_kernel_that_would_wake_all),
        TEST(what_epoll_cannot_open_or_watch_leaves_nothing_open),
        TEST(the_lock_of_a_dead_holder_is_the_next_one_s),
        TEST(an_error_of_accept_leaves_the_lock_free),
        TEST(one_worker_is_woken_for_a_connection),
        TEST(the_next_in_line_gets_the_lock_and_nobody_else_wakes),
        TEST(in_select_all_are_woken),
        TEST(who_waits_longest_in_accept_is_the_next),
    };
    return run_chosen(tests);
}
