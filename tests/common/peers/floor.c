/* Test of the floors, common/peers/accept and reuseport: that they echo, so that what is measured
 * is the same as with the servers of the course, and that they end and leave nothing. */
#include "support.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WORKERS = 3 };

/* The state of each test is the floor that it is about. */
static struct server start(void **state)
{
    return server_start((const char *const[]){built(*state), "-p", "0", "3", NULL});
}

static bool has_gone(void *pid)
{
    return process_state(*(pid_t *)pid) == 0;
}

static bool is_a_zombie(void *pid)
{
    return process_state(*(pid_t *)pid) == 'Z';
}

/* None of the workers is left, nor anyone who listens where the server did. */
static void expect_nothing_left(const struct server *server, pid_t workers[WORKERS])
{
    int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    for (int i = 0; i < WORKERS; i++)
        assert_true(wait_until(has_gone, &workers[i]));
    assert_int_equal(try_connect(connection, server), -1);
    assert_int_equal(errno, ECONNREFUSED);
    close(connection);
}

static void every_byte_comes_back(void **state)
{
    enum { LENGTH = 3000000 };
    char *bytes = malloc(LENGTH);

    for (size_t i = 0; i < LENGTH; i++)
        bytes[i] = (char)(i * i >> 7);
    struct server server = start(state);
    int connection = connect_to(&server);
    char end;
    exchange(connection, bytes, LENGTH);
    shutdown(connection, SHUT_WR);
    assert_int_equal(recv(connection, &end, 1, 0), 0);
    close(connection);
    assert_int_equal(server_stop(&server), 0);
    free(bytes);
}

static void no_connection_of_many_clients_is_lost(void **state)
{
    struct server server = start(state);
    struct load load = load_start(&server, 20, 1000);
    struct load_result result = load_finish(&load);
    assert_int_equal(result.connections, 1000);
    assert_int_equal(result.ok, 1000);
    assert_int_equal(children_of(server.pid, NULL, 0), WORKERS);
    assert_int_equal(server_stop(&server), 0);
}

static void a_client_that_resets_does_no_harm(void **state)
{
    struct server server = start(state);
    for (int i = 0; i < 20; i++) {
        int connection = connect_to(&server);
        send(connection, "gone", 4, MSG_NOSIGNAL);
        reset(connection);
    }
    expect_service(&server);
    assert_int_equal(server_stop(&server), 0);
}

static void each_stop_signal_ends_all_while_clients_are_served(void **state)
{
    const int signals[] = {SIGTERM, SIGINT};

    for (size_t i = 0; i < 2; i++) {
        struct server server = start(state);
        pid_t workers[WORKERS];
        assert_int_equal(children_of(server.pid, workers, WORKERS), WORKERS);
        int connection = connect_to(&server);
        exchange(connection, "busy", 4);
        kill(server.pid, signals[i]);
        assert_int_equal(server_wait(&server), 0);
        expect_nothing_left(&server, workers);
        close(connection);
    }
}

static void workers_end_with_a_master_that_is_killed(void **state)
{
    struct server server = start(state);
    pid_t workers[WORKERS];
    assert_int_equal(children_of(server.pid, workers, WORKERS), WORKERS);
    kill(server.pid, SIGKILL);
    assert_int_equal(server_wait(&server), 128 + SIGKILL);
    expect_nothing_left(&server, workers);
}

static void a_worker_that_dies_ends_the_server_with_a_reason(void **state)
{
    struct server server = start(state);
    pid_t workers[WORKERS];
    char *errors, expected[64];
    assert_int_equal(children_of(server.pid, workers, WORKERS), WORKERS);
    kill(workers[1], SIGKILL);
    assert_true(wait_until(is_a_zombie, &server.pid));
    errors = server_errors(&server);
    snprintf(expected, sizeof(expected), "%s: a worker has ended\n", strrchr(*state, '/') + 1);
    assert_string_equal(errors, expected);
    free(errors);
    assert_int_equal(server_wait(&server), 1);
    expect_nothing_left(&server, workers);
}

/* The inode of the only socket that a process has open; 0 while it has several. */
static ino_t only_socket(pid_t pid)
{
    ino_t found = 0;

    for (int descriptor = 0; descriptor < 64; descriptor++) {
        char path[64];
        struct stat status;
        snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, descriptor);
        if (stat(path, &status) == -1 || !S_ISSOCK(status.st_mode))
            continue;
        if (found != 0)
            return 0;
        found = status.st_ino;
    }
    return found;
}

static bool has_one_socket(void *pid)
{
    return only_socket(*(pid_t *)pid) != 0;
}

static void the_listener_is_shared_or_each_worker_has_its_own(void **state)
{
    struct server server = start(state);
    bool own = strstr(*state, "reuseport") != NULL;
    pid_t workers[WORKERS];
    ino_t listeners[WORKERS];
    assert_int_equal(children_of(server.pid, workers, WORKERS), WORKERS);
    for (int i = 0; i < WORKERS; i++) {
        assert_true(wait_until(has_one_socket, &workers[i]));
        listeners[i] = only_socket(workers[i]);
        for (int j = 0; j < i; j++)
            assert_int_equal(listeners[i] == listeners[j], !own);
    }
    assert_int_equal(server_stop(&server), 0);
}

static void a_port_that_is_taken_is_an_error(void **state)
{
    struct server server =
        server_start((const char *const[]){built("common/peers/accept"), "-p", "0", "3", NULL});
    char port[16], expected[128];
    snprintf(port, sizeof(port), "%d", server.port);
    struct output output = run(built(*state), "-p", port, NULL);
    assert_int_equal(output.status, 1);
    snprintf(expected, sizeof(expected),
             "%s: cannot listen on 127.0.0.1 port %s: Address already in use\n",
             strrchr(*state, '/') + 1, port);
    assert_string_equal(output.err, expected);
    output_free(&output);
    assert_int_equal(server_stop(&server), 0);
}

#define ON(server, test)                                                                           \
    ((struct CMUnitTest){server "_" #test, test, NULL, NULL, "common/peers/" server})
#define BOTH(test) ON("accept", test), ON("reuseport", test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(every_byte_comes_back),
        BOTH(no_connection_of_many_clients_is_lost),
        BOTH(a_client_that_resets_does_no_harm),
        BOTH(each_stop_signal_ends_all_while_clients_are_served),
        BOTH(workers_end_with_a_master_that_is_killed),
        BOTH(a_worker_that_dies_ends_the_server_with_a_reason),
        BOTH(the_listener_is_shared_or_each_worker_has_its_own),
        BOTH(a_port_that_is_taken_is_an_error),
    };

    return run_chosen(tests);
}
