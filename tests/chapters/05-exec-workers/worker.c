/* Test of chapter 5's workers, in C and in Python, each alone: this test plays the master, at the
 * other end of the channel. */
#include "support.h"

#include "fdpass.h"
#include "listener.h"
#include "process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct language {
    const char *path;
    bool is_script;
    const char *no_channel, *no_descriptor; /* what it says of them on stderr */
} c = {"chapters/05-exec-workers/worker", false,
       "worker: descriptor 0 is not a channel: the server starts this program\n",
       "worker: cannot receive a connection: Protocol error\n"},
  python = {"chapters/05-exec-workers/worker.py", true,
            "worker.py: descriptor 0 is not a channel: the server starts this program\n",
            "worker.py: a message came without a connection\n"};

static const struct language *language;
static pid_t worker;
static int channel; /* the master's end */
static int errors;  /* what the worker says on stderr */

static const char *program(void)
{
    return language->is_script ? source(language->path) : built(language->path);
}

/* Starts the worker with this descriptor as its descriptor 0. */
static void start(int input)
{
    const char *path = program();

    errors = memfd_create("errors", MFD_CLOEXEC);
    assert_true(errors != -1);
    worker = fork_child();
    assert_true(worker != -1);
    if (worker == 0) {
        signal(SIGPIPE, SIG_DFL);
        if (dup2(input, STDIN_FILENO) != -1 && dup2(errors, STDERR_FILENO) != -1)
            execl(path, path, (char *)NULL);
        _exit(127);
    }
}

static int set_up(void **state)
{
    const struct timeval patience = {.tv_sec = PATIENCE};
    int pair[2];

    language = *state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    channel = pair[0];
    setsockopt(channel, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    start(pair[1]);
    close(pair[1]);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (worker != 0) {
        kill(worker, SIGKILL);
        waitpid(worker, NULL, 0);
    }
    worker = 0;
    close(channel);
    close(errors);
    return 0;
}

/* ---- what the master does ---- */

static void close_channel(void)
{
    close(channel);
    channel = -1;
}

static void expect_idle(void)
{
    char report = 'x';

    assert_int_equal(recv(channel, &report, 1, 0), 1);
    assert_int_equal(report, 0);
}

/* Waits for the report, and leaves it where it is. */
static void await_idle(void)
{
    struct pollfd readable = {.fd = channel, .events = POLLIN};

    assert_int_equal(poll(&readable, 1, PATIENCE * 1000), 1);
}

/* Hands a connection to the worker. Returns the client's end. */
static int hand_over(void)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(write_fd(channel, "", 1, pair[1]), 0);
    close(pair[1]);
    return pair[0];
}

/* Ends a connection as a client does, and sees that the worker has closed it. */
static void finish(int client)
{
    struct pollfd readable = {.fd = client, .events = POLLIN};
    char byte;

    shutdown(client, SHUT_WR);
    assert_int_equal(poll(&readable, 1, PATIENCE * 1000), 1);
    assert_int_equal(read(client, &byte, 1), 0);
    close(client);
}

static bool has_ended(void *status)
{
    return waitpid(worker, status, WNOHANG) == worker;
}

/* The worker ends by itself with this status, and says `said`, or nothing if that is NULL. */
static void expect_end(int expected, const char *said)
{
    char text[4096] = "";
    int status;

    assert_true(wait_until(has_ended, &status));
    worker = 0;
    assert_true(pread(errors, text, sizeof(text) - 1, 0) >= 0);
    if (said)
        assert_non_null(strstr(text, said));
    else
        assert_string_equal(text, "");
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), expected);
}

/* ---- the protocol ---- */

static void it_reports_idle_serves_and_reports_idle_again(void **state)
{
    (void)state;
    expect_idle();
    int client = hand_over();
    exchange(client, "hello\0worker", 12);
    finish(client);
    expect_idle();
    close_channel();
    expect_end(0, NULL);
}

static void while_it_serves_it_reports_nothing(void **state)
{
    char report;

    (void)state;
    expect_idle();
    int client = hand_over();
    exchange(client, "hello", 5);
    assert_int_equal(recv(channel, &report, 1, MSG_DONTWAIT), -1);
    finish(client);
    expect_idle();
}

static void connections_in_turn_leave_nothing_open(void **state)
{
    (void)state;
    expect_idle();
    int client = hand_over();
    finish(client);
    expect_idle();
    int before = descriptors_of(worker);
    assert_true(before > 0);
    for (int i = 0; i < 20; i++) {
        client = hand_over();
        exchange(client, "hello", 5);
        finish(client);
        expect_idle();
    }
    assert_int_equal(descriptors_of(worker), before);
}

static void a_large_message_comes_back(void **state)
{
    enum { SIZE = 1024 * 1024 };
    char *bytes = malloc(SIZE);

    (void)state;
    assert_non_null(bytes);
    for (int i = 0; i < SIZE; i++)
        bytes[i] = (char)(i * 7 + i / 256);
    expect_idle();
    int client = hand_over();
    exchange(client, bytes, SIZE);
    finish(client);
    expect_idle();
    free(bytes);
}

static void a_connection_that_is_reset_is_its_client_s_affair(void **state)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);

    (void)state;
    expect_idle();
    int listener = listener_open("127.0.0.1", 0);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, length), 0);
    int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(connection != -1);
    assert_int_equal(write_fd(channel, "", 1, connection), 0);
    close(connection);
    close(listener);
    exchange(client, "hello", 5);
    reset(client);
    expect_idle();

    client = hand_over();
    exchange(client, "hello", 5);
    finish(client);
    expect_idle();
    close_channel();
    expect_end(0, NULL);
}

/* How many of the worker's descriptors above 2 a program that it starts would inherit. Descriptor 0
 * must lead nowhere. */
static int inheritable(int *sockets)
{
    char path[64], target[64], line[128];
    int count = 0;

    *sockets = 0;
    snprintf(path, sizeof(path), "/proc/%d/fd/0", (int)worker);
    ssize_t length = readlink(path, target, sizeof(target) - 1);
    assert_true(length > 0);
    target[length] = '\0';
    assert_string_equal(target, "/dev/null");
    for (int fd = STDERR_FILENO + 1; fd < 64; fd++) {
        unsigned flags = 0;
        if (fcntl(fd, F_GETFD) == 0) /* whoever started this test has left it open */
            continue;
        snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)worker, fd);
        length = readlink(path, target, sizeof(target) - 1);
        if (length > 0)
            *sockets += strncmp(target, "socket:", 7) == 0;
        snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", (int)worker, fd);
        FILE *info = fopen(path, "re");
        if (!info)
            continue;
        while (fgets(line, sizeof(line), info))
            sscanf(line, "flags: %o", &flags);
        fclose(info);
        count += !(flags & O_CLOEXEC);
    }
    return count;
}

static void a_program_that_it_starts_inherits_neither_channel_nor_connection(void **state)
{
    int sockets;

    (void)state;
    expect_idle();
    assert_int_equal(inheritable(&sockets), 0);
    assert_int_equal(sockets, 1);
    int client = hand_over();
    exchange(client, "hello", 5);
    assert_int_equal(inheritable(&sockets), 0);
    assert_int_equal(sockets, 2);
    finish(client);
    expect_idle();
}

/* ---- the end ---- */

static void it_ends_when_the_master_has_gone(void **state)
{
    (void)state;
    expect_idle();
    close_channel();
    expect_end(0, NULL);
}

static void it_finishes_its_connection_when_the_master_has_gone(void **state)
{
    (void)state;
    expect_idle();
    int client = hand_over();
    exchange(client, "hello", 5);
    close_channel();
    exchange(client, "still there?", 12);
    finish(client);
    expect_end(0, NULL);
}

/* A socket that is closed with something unread resets its peer, which is no end-of-file. */
static void it_ends_when_the_master_has_gone_with_a_report_unread(void **state)
{
    (void)state;
    await_idle();
    close_channel();
    expect_end(0, NULL);
}

static void sigterm_ends_it(void **state)
{
    int status;

    (void)state;
    expect_idle();
    kill(worker, SIGTERM);
    assert_true(wait_until(has_ended, &status));
    worker = 0;
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGTERM);
}

static void a_message_without_a_descriptor_ends_it_with_a_message(void **state)
{
    (void)state;
    expect_idle();
    assert_int_equal(write_fd(channel, "", 1, -1), 0);
    expect_end(1, language->no_descriptor);
}

/* ---- started by hand ---- */

static int set_up_language(void **state)
{
    language = *state;
    channel = -1;
    return 0;
}

static void a_descriptor_0_that_is_no_socket_is_an_error(void **state)
{
    int file = memfd_create("input", MFD_CLOEXEC);

    (void)state;
    start(file);
    close(file);
    expect_end(1, language->no_channel);
}

static void a_descriptor_0_that_is_an_internet_socket_is_an_error(void **state)
{
    int internet = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    start(internet);
    close(internet);
    expect_end(1, language->no_channel);
}

// clang-format off
#define TEST(name, language) \
    {#name "_in_" #language, name, set_up, tear_down, (void *)&language}
#define TEST_BY_HAND(name, language) \
    {#name "_in_" #language, name, set_up_language, tear_down, (void *)&language}
// clang-format on

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_reports_idle_serves_and_reports_idle_again, c),
        TEST(it_reports_idle_serves_and_reports_idle_again, python),
        TEST(while_it_serves_it_reports_nothing, c),
        TEST(while_it_serves_it_reports_nothing, python),
        TEST(connections_in_turn_leave_nothing_open, c),
        TEST(connections_in_turn_leave_nothing_open, python),
        TEST(a_large_message_comes_back, c),
        TEST(a_large_message_comes_back, python),
        TEST(a_connection_that_is_reset_is_its_client_s_affair, c),
        TEST(a_connection_that_is_reset_is_its_client_s_affair, python),
        TEST(a_program_that_it_starts_inherits_neither_channel_nor_connection, c),
        TEST(a_program_that_it_starts_inherits_neither_channel_nor_connection, python),
        TEST(it_ends_when_the_master_has_gone, c),
        TEST(it_ends_when_the_master_has_gone, python),
        TEST(it_finishes_its_connection_when_the_master_has_gone, c),
        TEST(it_finishes_its_connection_when_the_master_has_gone, python),
        TEST(it_ends_when_the_master_has_gone_with_a_report_unread, c),
        TEST(it_ends_when_the_master_has_gone_with_a_report_unread, python),
        TEST(sigterm_ends_it, c),
        TEST(sigterm_ends_it, python),
        TEST(a_message_without_a_descriptor_ends_it_with_a_message, c),
        TEST(a_message_without_a_descriptor_ends_it_with_a_message, python),
        TEST_BY_HAND(a_descriptor_0_that_is_no_socket_is_an_error, c),
        TEST_BY_HAND(a_descriptor_0_that_is_no_socket_is_an_error, python),
        TEST_BY_HAND(a_descriptor_0_that_is_an_internet_socket_is_an_error, c),
    };

    return run_chosen(tests);
}
