/* What every server of the course promises to its clients and to who starts it. */
#include "subject.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MIB = 1024 * 1024,
    COLUMNS = 80, /* of a terminal */
};

/* Bytes of every value, in an order that does not repeat soon. The caller frees them. */
static char *make_bytes(size_t length)
{
    char *bytes = malloc(length);
    uint32_t state = 1;

    assert_non_null(bytes);
    for (size_t i = 0; i < length; i++) {
        state = state * 1664525 + 1013904223;
        bytes[i] = (char)(state >> 24);
    }
    for (size_t i = 0; i < length && i < 256; i++)
        bytes[i] = (char)i;
    return bytes;
}

static void read_to_end(int connection, const char *expected, size_t length)
{
    char *back = malloc(length + 1);
    size_t received = 0;
    ssize_t n;

    assert_non_null(back);
    while ((n = recv(connection, back + received, length + 1 - received, 0)) > 0)
        received += (size_t)n;
    assert_int_equal(n, 0);
    assert_int_equal(received, length);
    assert_memory_equal(back, expected, length);
    free(back);
}

static void expect_no_bytes(int connection)
{
    char byte;

    assert_int_equal(recv(connection, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
}

/* ---- echo ---- */

static void echoes_every_byte_at_every_size(void **state)
{
    static const size_t sizes[] = {1,    2,    79,    80,    81,    255,     256,
                                   4095, 4096, 65535, 65536, 65537, 1 * MIB, 8 * MIB};
    char *bytes = make_bytes(8 * MIB);
    struct server server = start_workers(2);

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        int connection = connect_to(&server);
        exchange(connection, bytes, sizes[i]);
        shutdown(connection, SHUT_WR);
        read_to_end(connection, bytes, 0);
        close(connection);
    }
    free(bytes);
    assert_int_equal(server_stop(&server), 0);
}

static void echoes_one_byte_at_a_time(void **state)
{
    struct server server = start_workers(1);
    int connection = connect_to(&server);

    (void)state;
    for (int value = 0; value < 256; value++) {
        char byte = (char)value;
        exchange(connection, &byte, 1);
    }
    close(connection);
    assert_int_equal(server_stop(&server), 0);
}

static void echoes_pipelined_messages_in_order(void **state)
{
    char messages[100 * 16];
    struct server server = start_workers(1);
    int connection = connect_to(&server);

    (void)state;
    for (int i = 0; i < 100; i++) {
        char message[32];
        snprintf(message, sizeof(message), "message %08d", i);
        memcpy(messages + i * 16, message, 16);
    }
    for (int i = 0; i < 100; i++) /* all of them before anything is read */
        assert_int_equal(send(connection, messages + i * 16, 16, 0), 16);
    shutdown(connection, SHUT_WR);
    read_to_end(connection, messages, sizeof(messages));
    close(connection);
    assert_int_equal(server_stop(&server), 0);
}

static void echoes_urgent_bytes_among_the_others(void **state)
{
    struct server server = start_workers(1);
    int connection = connect_to(&server);

    (void)state;
    exchange(connection, "here", 4);
    for (int i = 0; i < 3; i++) { /* at the mark a read ends early: not the echo */
        assert_int_equal(send(connection, "before", 6, 0), 6);
        assert_int_equal(send(connection, "!", 1, MSG_OOB), 1);
        assert_int_equal(send(connection, "after", 5, 0), 5);
    }
    shutdown(connection, SHUT_WR);
    read_to_end(connection, "before!afterbefore!afterbefore!after", 36);
    close(connection);
    assert_int_equal(server_stop(&server), 0);
}

static void delivers_the_rest_after_a_half_close(void **state)
{
    enum { LENGTH = 128 * 1024 }; /* what the kernel holds in flight: nothing is read before */
    char *bytes = make_bytes(LENGTH);
    struct server server = start_workers(1);
    int connection = connect_to(&server);

    (void)state;
    assert_int_equal(send(connection, bytes, LENGTH, 0), LENGTH);
    shutdown(connection, SHUT_WR);
    read_to_end(connection, bytes, LENGTH);
    close(connection);
    free(bytes);
    assert_int_equal(server_stop(&server), 0);
}

static void ends_the_connection_of_a_client_that_sends_nothing(void **state)
{
    struct server server = start_workers(1);
    int connection = connect_to(&server);

    (void)state;
    shutdown(connection, SHUT_WR);
    read_to_end(connection, "", 0);
    close(connection);
    expect_service(&server);
    assert_int_equal(server_stop(&server), 0);
}

static void serves_on_ipv6(void **state)
{
    (void)state;
    if (!has_ipv6())
        return;
    struct server server = start_with("-a", "::1", "-p", "0", "2", NULL);
    assert_string_equal(server.address, "::1");
    expect_service(&server);
    assert_int_equal(server_stop(&server), 0);
}

/* ---- more clients than workers ---- */

static void serves_200_clients_with_4_workers(void **state)
{
    enum { CLIENTS = 200 };
    int connections[CLIENTS];
    char text[32];
    struct server server = start_workers(4);

    (void)state;
    for (int i = 0; i < CLIENTS; i++) {
        connections[i] = connect_to(&server);
        int length = snprintf(text, sizeof(text), "client %d", i);
        assert_int_equal(send(connections[i], text, (size_t)length, 0), length);
        shutdown(connections[i], SHUT_WR);
    }
    for (int i = 0; i < CLIENTS; i++) {
        int length = snprintf(text, sizeof(text), "client %d", i);
        read_to_end(connections[i], text, (size_t)length);
        close(connections[i]);
    }
    assert_int_equal(server_stop(&server), 0);
}

static bool has_3_children(void *server)
{
    return workers_of(((struct server *)server)->pid, NULL, 0) == 3;
}

static void clients_wait_while_silent_ones_hold_every_worker(void **state)
{
    enum { WAITING = 100 };
    int silent[3], waiting[WAITING];
    struct server server = start_workers(3);

    (void)state;
    hold_workers(&server, silent, 3);
    for (int i = 0; i < WAITING; i++) { /* the backlog holds them all */
        waiting[i] = connect_to(&server);
        assert_int_equal(send(waiting[i], "me too", 6, 0), 6);
    }
    /* No more processes than WORKERS, and nobody else is served. */
    assert_true(wait_until(has_3_children, &server));
    for (int i = 0; i < WAITING; i++)
        expect_no_bytes(waiting[i]);
    for (int i = 0; i < 3; i++)
        exchange(silent[i], "still", 5);
    assert_true(has_3_children(&server));

    /* Its worker serves all who wait, one after the other; or all who were dealt to it. */
    for (int i = 0; i < (subject->deals ? 3 : 1); i++)
        close(silent[i]);
    for (int i = 0; i < WAITING; i++) {
        shutdown(waiting[i], SHUT_WR);
        read_to_end(waiting[i], "me too", 6);
        close(waiting[i]);
    }
    for (int i = subject->deals ? 3 : 1; i < 3; i++)
        close(silent[i]);
    assert_int_equal(server_stop(&server), 0);
}

/* ---- clients that reset ---- */

static void survives_a_reset_before_accept(void **state)
{
    struct server server = start_workers(1);
    int silent = connect_to(&server);

    (void)state;
    exchange(silent, "here", 4);
    for (int i = 0; i < 20; i++)
        reset(connect_to(&server)); /* these lie in the backlog: the one worker is busy */
    close(silent);
    expect_service(&server);
    assert_int_equal(server_stop(&server), 0);
}

static void survives_a_reset_after_accept(void **state)
{
    struct server server = start_workers(1);

    (void)state;
    for (int i = 0; i < 20; i++) {
        int connection = connect_to(&server);
        exchange(connection, "here", 4);
        reset(connection);
    }
    expect_service(&server);
    assert_int_equal(server_stop(&server), 0);
}

static void survives_a_reset_in_the_middle_of_a_request(void **state)
{
    struct server server = start_workers(1);

    (void)state;
    for (int i = 0; i < 20; i++) {
        int connection = connect_to(&server);
        assert_int_equal(send(connection, "half a req", 10, 0), 10);
        reset(connection);
    }
    expect_service(&server);
    assert_int_equal(server_stop(&server), 0);
}

static void survives_a_reset_in_the_middle_of_a_reply(void **state)
{
    char *bytes = make_bytes(MIB);
    struct server server = start_workers(1);

    (void)state;
    for (int i = 0; i < 20; i++) {
        int connection = connect_to(&server);
        exchange(connection, "here", 4);
        /* Never reads: sends until the server, stuck in its reply, takes no more. */
        while (send(connection, bytes, MIB, MSG_DONTWAIT) > 0)
            continue;
        reset(connection);
    }
    free(bytes);
    expect_service(&server);
    assert_int_equal(server_stop(&server), 0);
}

/* ---- starting ---- */

static void takes_8_workers_by_default(void **state)
{
    struct server server = start_with("-p", "0", NULL);

    (void)state;
    assert_in_range(workers_of(server.pid, NULL, 0), at_least(8), at_most(8));
    assert_string_equal(server.address, "127.0.0.1");
    expect_service(&server);
    assert_int_equal(server_stop(&server), 0);
}

static void refuses_what_is_no_argument(void **state)
{
    static const char *const mistakes[][3] = {
        {"-p", "x"},
        {"-p", ""},
        {"-p", "-1"},
        {"-p", "65536"},
        {"-p", "80 "},
        {"-p", " 80"},
        {"-p", "+80"},
        {"-p", "0x50"},
        {"-p"},
        {"-a"},
        {"-a", ""},
        {"-a", "localhost"},
        {"-a", "0"},
        {"-a", "*"},
        {"-a", "1.2.3.4.5"},
        {"-a", "::1::"},
        {"0"},
        {"-1"},
        {"abc"},
        {"4x"},
        {""},
        {"1.5"},
        {"99999999999999999999"},
        {"100001"},
        {"4", "5"},
        {"-z"},
        {"--workers", "4"},
    };

    char usage[64];

    (void)state;
    snprintf(usage, sizeof(usage), "usage: %s [", subject_called());
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(*mistakes); i++) {
        struct output output = run_subject(mistakes[i][0], mistakes[i][1], NULL);
        if (output.status != 2 || output.out[0] != '\0' || !strstr(output.err, usage))
            fail_msg("%s %s: status %d, out \"%s\", err \"%s\"", mistakes[i][0],
                     mistakes[i][1] ? mistakes[i][1] : "", output.status, output.out, output.err);
        output_free(&output);
    }
}

static void prints_its_usage_when_asked(void **state)
{
    struct output output = run_subject("-h", NULL);
    char usage[64];

    (void)state;
    snprintf(usage, sizeof(usage), "usage: %s [", subject_called());
    assert_int_equal(output.status, 0);
    assert_ptr_equal(strstr(output.out, usage), output.out);
    assert_non_null(strstr(output.out, "WORKERS"));
    assert_string_equal(output.err, "");
    output_free(&output);
}

/* A run-time error is one line with the program, what, and why. */
static void expect_error(struct output output, const char *why)
{
    const char *newline = strchr(output.err, '\n');

    if (output.status != 1 || output.out[0] != '\0' || !newline || newline[1] != '\0' ||
        newline - output.err > COLUMNS || !is_of_subject(output.err) || !strstr(output.err, why))
        fail_msg("wanted status 1 and one line of %d columns with \"%s\"; status %d, out \"%s\", "
                 "err \"%s\"",
                 COLUMNS, why, output.status, output.out, output.err);
    output_free(&output);
}

static void says_that_the_port_is_taken(void **state)
{
    struct server server = start_workers(1);
    char port[16];

    (void)state;
    snprintf(port, sizeof(port), "%d", server.port);
    expect_error(run_subject("-p", port, NULL), "Address already in use");
    expect_service(&server);
    assert_int_equal(server_stop(&server), 0);
}

static void says_that_the_address_is_not_its_own(void **state)
{
    (void)state;
    expect_error(run_subject("-a", "192.0.2.1", "-p", "0", NULL),
                 "Cannot assign requested address");
}

static void says_that_it_cannot_write_its_line(void **state)
{
    const char *command = "exec \"$0\" -p 0 \"$@\" >/dev/full";
    struct output output = run("/bin/sh", "-c", command, built(subject->program), "2", NULL);

    (void)state;
    expect_error(output, "stdout: No space left on device");
}

static void says_that_it_can_open_no_descriptors(void **state)
{
    (void)state;
    /* One is not enough: the loader needs it for the C library, and then signalfd has it. */
    expect_error_at_limit(4, "Too many open files", built(subject->program), "-p0");
}

static void refuses_more_workers_than_select_can_watch(void **state)
{
    (void)state;
    expect_error(run_subject("-p", "0", "1024", NULL), "FD_SETSIZE");
    expect_error(run_subject("-p", "0", "100000", NULL), "FD_SETSIZE");
}

static void starts_from_any_directory(void **state)
{
    char directory[4096];

    (void)state;
    assert_non_null(getcwd(directory, sizeof(directory)));
    assert_int_equal(chdir("/"), 0);
    struct server server = start_workers(2);
    assert_int_equal(chdir(directory), 0);
    expect_service(&server);
    assert_int_equal(server_stop(&server), 0);
}

static void starts_with_standard_descriptors_closed(void **state)
{
    const char *command = "exec \"$@\" <&- 2>&-";
    const char *arguments[] = {"/bin/sh", "-c", command, "sh", built(subject->program),
                               "-p",      "0",  "2",     NULL};
    struct server server = server_start(arguments);

    (void)state;
    for (int i = 0; i < 5; i++)
        expect_service(&server);
    assert_int_equal(server_stop(&server), 0);
}

/* A shell or a supervisor may have left SIGCHLD ignored: then nobody could wait for the workers. */
static void serves_though_sigchld_was_ignored(void **state)
{
    const char *command = "trap '' CHLD; exec \"$0\" -p 0 2";
    const char *arguments[] = {"/bin/sh", "-c", command, built(subject->program), NULL};
    struct server server = server_start(arguments);

    (void)state;
    for (int i = 0; i < 10; i++)
        expect_service(&server);
    assert_int_equal(server_stop(&server), 0);
}

static bool is_called(pid_t pid, const char *name)
{
    char path[64], line[64] = "";

    snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
    FILE *file = fopen(path, "re");
    if (file) {
        if (!fgets(line, sizeof(line), file))
            line[0] = '\0';
        fclose(file);
    }
    return strncmp(line, name, strlen(name)) == 0;
}

/* The child that is the program sleep, and sleeps; 0 if there is none. */
static pid_t child_asleep(pid_t parent)
{
    pid_t children[4];
    int count = children_of(parent, children, 4);

    for (int i = 0; i < count && i < 4; i++)
        if (is_called(children[i], "sleep") && process_state(children[i]) == 'S')
            return children[i];
    return 0;
}

static bool has_a_child_asleep(void *server)
{
    return child_asleep(((struct server *)server)->pid) != 0;
}

/* A program keeps the children of the one that it replaces: these are not to be counted as workers,
 * waited for or killed. */
static void leaves_children_alone_that_are_not_its_own(void **state)
{
    const char *command = "sleep 1000 & exec \"$0\" -p 0 1";
    const char *arguments[] = {"/bin/sh", "-c", command, built(subject->program), NULL};
    struct server server = server_start(arguments);

    (void)state;
    /* The server may be faster than its shell's child is a sleep. */
    assert_true(wait_until(has_a_child_asleep, &server));
    pid_t stranger = child_asleep(server.pid);
    for (int i = 0; i < 10; i++)
        expect_service(&server);
    assert_int_equal(server_stop(&server), 0);
    assert_int_equal(process_state(stranger), 'S');
    kill(stranger, SIGKILL);
}

static void restarts_at_once_on_the_same_port(void **state)
{
    struct server first = start_workers(2);
    int connection = connect_to(&first);
    char port[16], byte;

    (void)state;
    /* The server closes first: its side of the connection is the one that lingers. */
    exchange(connection, "here", 4);
    snprintf(port, sizeof(port), "%d", first.port);
    assert_int_equal(server_stop(&first), 0);
    while (recv(connection, &byte, 1, 0) > 0)
        continue;
    close(connection);

    struct server second = start_with("-p", port, "2", NULL);
    expect_service(&second);
    assert_int_equal(server_stop(&second), 0);
}

static void logs_each_hand_over_when_asked(void **state)
{
    struct server server = start_with("-v", "-p", "0", "2", NULL);

    (void)state;
    expect_service(&server);
    expect_service(&server);
    int errors = dup(server.errors);
    assert_int_equal(server_stop(&server), 0);
    server.errors = errors;
    char *log = server_errors(&server);
    int lines = 0;
    const char *says = subject->accept ? " accepts descriptor " : ": descriptor ";
    for (char *line = log; (line = strstr(line, says)); line++)
        lines++;
    assert_int_equal(lines, 2);
    assert_true(is_of_subject(log));
    free(log);
    close(errors);
}

/* Writes until the descriptor takes no more. */
static void fill(int fd)
{
    static const char bytes[4096];

    fcntl(fd, F_SETFL, O_NONBLOCK);
    for (size_t size = sizeof(bytes); size > 0; size /= 2)
        while (write(fd, bytes, size) > 0)
            continue;
    fcntl(fd, F_SETFL, 0); /* as a shell would give it to a server */
}

/* A server with -v whose stderr is full, and nobody reads it: it does not mind. */
static void expect_log_lost(int errors)
{
    fill(errors);
    struct server server = start_to(errors, "-v", "-p", "0", "2", NULL);

    for (int i = 0; i < 20; i++)
        expect_service(&server);
    assert_int_equal(server_stop(&server), 0);
}

static void does_not_wait_for_a_log_that_is_a_full_pipe(void **state)
{
    static const int sizes[] = {4096, 65536};
    int ends[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        fcntl(ends[1], F_SETPIPE_SZ, sizes[i]);
        expect_log_lost(ends[1]);
        close(ends[0]);
    }
}

static void does_not_wait_for_a_log_that_is_a_full_socket(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    expect_log_lost(ends[1]);
    close(ends[0]);
}

static void does_not_wait_for_a_log_that_is_a_terminal_which_is_not_read(void **state)
{
    int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

    (void)state;
    assert_true(terminal != -1 && grantpt(terminal) == 0 && unlockpt(terminal) == 0);
    int other = open(ptsname(terminal), O_WRONLY | O_NOCTTY | O_CLOEXEC);
    assert_true(other != -1);
    expect_log_lost(other);
    close(terminal);
}

static void goes_on_when_the_reader_of_its_log_has_gone(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct server server = start_to(ends[1], "-v", "-p", "0", "2", NULL);
    expect_service(&server);
    close(ends[0]);
    for (int i = 0; i < 20; i++)
        expect_service(&server);
    assert_int_equal(server_stop(&server), 0);
}

/* ---- PID namespaces ---- */

static bool has_pid_namespaces(void)
{
    struct output output = run("/usr/bin/unshare", "-p", "/bin/true", NULL);
    bool has = output.status == 0;

    output_free(&output);
    if (!has)
        print_message("# this test may make no PID namespace\n");
    return has;
}

/* Its first child would be the namespace's init, and all others would die with it. */
static void refuses_to_have_children_in_another_pid_namespace(void **state)
{
    (void)state;
    if (!has_pid_namespaces())
        return;
    /* LeakSanitizer would itself make a process there. */
    const char *command = "ASAN_OPTIONS=detect_leaks=0 exec unshare -p \"$0\" \"$@\"";
    expect_error(run("/bin/sh", "-c", command, built(subject->program), "-p", "0", "2", NULL),
                 "in another PID namespace");
}

static bool is_not_there(void *pid)
{
    return process_state(*(pid_t *)pid) == 0;
}

/* As init the server is given the orphans of its namespace, and nobody else would reap them. */
static void reaps_strangers_as_init(void **state)
{
    const char *start = "exec unshare --pid --fork --kill-child \"$0\" \"$@\"";
    const char *orphan = "exec nsenter --target \"$0\" --pid sh -c 'sleep 1000 & echo'";
    const char *arguments[] = {"/bin/sh", "-c", start, built(subject->program),
                               "-p",      "0",  "2",   NULL};
    pid_t init, stranger;
    char text[16];

    (void)state;
    if (!has_pid_namespaces())
        return;
    struct server outer = server_start(arguments), server = outer;
    assert_int_equal(children_of(outer.pid, &init, 1), 1);
    server.pid = init;
    expect_service(&server);
    snprintf(text, sizeof(text), "%d", (int)init);
    for (int i = 0; i < 3; i++) {
        struct output output = run("/bin/sh", "-c", orphan, text, NULL);
        assert_int_equal(output.status, 0);
        output_free(&output);
        assert_true(wait_until(has_a_child_asleep, &server));
        stranger = child_asleep(init);
        kill(stranger, SIGKILL);
        assert_true(wait_until(is_not_there, &stranger));
    }
    expect_service(&server);
    kill(init, SIGTERM);
    assert_int_equal(server_wait(&outer), 0);
}

/* ---- ending ---- */

static bool refuses_connections(void *server)
{
    int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool refused = try_connect(probe, server) == -1 && errno == ECONNREFUSED;

    close(probe);
    return refused;
}

static void expect_end_by(int signal_number, bool busy)
{
    struct server server = start_workers(3);
    pid_t children[8];
    int connections[4];

    if (busy) { /* three are served, one waits */
        hold_workers(&server, connections, 3);
        connections[3] = connect_to(&server);
    }
    assert_in_range(workers_of(server.pid, NULL, 0), busy ? 3 : at_least(3), busy ? 3 : at_most(3));
    int count = children_of(server.pid, children, 8);

    assert_int_equal(kill(server.pid, signal_number), 0);
    struct server gone = server;
    if (busy && subject->drain) {
        assert_true(wait_until(refuses_connections, &gone));
        for (int i = 0; i < 3; i++) {
            exchange(connections[i], "still", 5);
            close(connections[i]);
        }
    }
    assert_int_equal(server_wait(&server), 0);
    expect_no_children_left(&server, children, count);
    assert_true(refuses_connections(&gone));
    for (int i = subject->drain ? 3 : 0; i < 4 && busy; i++)
        close(connections[i]);
}

static void ends_by_sigterm_when_idle(void **state)
{
    (void)state;
    expect_end_by(SIGTERM, false);
}

static void ends_by_sigterm_while_clients_hold_every_worker(void **state)
{
    (void)state;
    expect_end_by(SIGTERM, true);
}

static void ends_by_sigint_when_idle(void **state)
{
    (void)state;
    expect_end_by(SIGINT, false);
}

static void ends_by_sigint_while_clients_hold_every_worker(void **state)
{
    (void)state;
    expect_end_by(SIGINT, true);
}

static void nobody_pushes_others_off_the_cpu(void **state)
{
    struct server server = start_workers(3);
    int ours = sched_getscheduler(0), wanted = ours == SCHED_OTHER ? SCHED_BATCH : ours;
    int connections[3];
    pid_t workers[3];

    (void)state;
    hold_workers(&server, connections, 3); /* so that there are as many */
    assert_int_equal(workers_of(server.pid, workers, 3), 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sched_getscheduler(workers[i]), wanted);
        close(connections[i]);
    }
    assert_int_equal(sched_getscheduler(server.pid), wanted);
    assert_int_equal(server_stop(&server), 0);
}

int main(int argc, char **argv)
{
    (void)argc;
    subject_find(argv[0]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echoes_every_byte_at_every_size),
        cmocka_unit_test(echoes_one_byte_at_a_time),
        cmocka_unit_test(echoes_pipelined_messages_in_order),
        cmocka_unit_test(echoes_urgent_bytes_among_the_others),
        cmocka_unit_test(delivers_the_rest_after_a_half_close),
        cmocka_unit_test(ends_the_connection_of_a_client_that_sends_nothing),
        cmocka_unit_test(serves_on_ipv6),
        cmocka_unit_test(serves_200_clients_with_4_workers),
        cmocka_unit_test(clients_wait_while_silent_ones_hold_every_worker),
        cmocka_unit_test(survives_a_reset_before_accept),
        cmocka_unit_test(survives_a_reset_after_accept),
        cmocka_unit_test(survives_a_reset_in_the_middle_of_a_request),
        cmocka_unit_test(survives_a_reset_in_the_middle_of_a_reply),
        cmocka_unit_test(takes_8_workers_by_default),
        cmocka_unit_test(refuses_what_is_no_argument),
        cmocka_unit_test(prints_its_usage_when_asked),
        cmocka_unit_test(says_that_the_port_is_taken),
        cmocka_unit_test(says_that_the_address_is_not_its_own),
        cmocka_unit_test(says_that_it_cannot_write_its_line),
        cmocka_unit_test(says_that_it_can_open_no_descriptors),
        cmocka_unit_test(starts_from_any_directory),
        cmocka_unit_test(starts_with_standard_descriptors_closed),
        cmocka_unit_test(serves_though_sigchld_was_ignored),
        cmocka_unit_test(leaves_children_alone_that_are_not_its_own),
        cmocka_unit_test(restarts_at_once_on_the_same_port),
        cmocka_unit_test(logs_each_hand_over_when_asked),
        cmocka_unit_test(does_not_wait_for_a_log_that_is_a_full_pipe),
        cmocka_unit_test(does_not_wait_for_a_log_that_is_a_full_socket),
        cmocka_unit_test(does_not_wait_for_a_log_that_is_a_terminal_which_is_not_read),
        cmocka_unit_test(goes_on_when_the_reader_of_its_log_has_gone),
        cmocka_unit_test(refuses_to_have_children_in_another_pid_namespace),
        cmocka_unit_test(reaps_strangers_as_init),
        cmocka_unit_test(ends_by_sigterm_when_idle),
        cmocka_unit_test(ends_by_sigterm_while_clients_hold_every_worker),
        cmocka_unit_test(ends_by_sigint_when_idle),
        cmocka_unit_test(ends_by_sigint_while_clients_hold_every_worker),
        test_if(subject->select, refuses_more_workers_than_select_can_watch),
        test_if(subject->batch, nobody_pushes_others_off_the_cpu),
    };

    return run_chosen(tests);
}
