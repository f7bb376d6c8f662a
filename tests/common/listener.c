/* Unit test of common/listener.c. */
#include "support.h"

#include "listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static int listener, client, connection;
static int open_before;

static int set_up(void **state)
{
    (void)state;
    listener = client = connection = -1;
    open_before = descriptors_of(getpid());
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        int fd = (int[]){listener, client, connection}[i];
        if (fd != -1)
            close(fd);
    }
    return 0;
}

static int option_of(int socket, int level, int option)
{
    int value = -1;

    assert_int_equal(getsockopt(socket, level, option, &value, &(socklen_t){sizeof(value)}), 0);
    return value;
}

static int port_of(int socket)
{
    struct sockaddr_in6 address; /* the port lies where sockaddr_in has it */
    socklen_t length = sizeof(address);

    assert_int_equal(getsockname(socket, (struct sockaddr *)&address, &length), 0);
    return ntohs(address.sin6_port);
}

/* Connects a client to the listener, and accepts it. */
static void connect_and_accept(void)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    struct pollfd readable = {.fd = listener, .events = POLLIN};

    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    client = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, length), 0);
    assert_int_equal(poll(&readable, 1, PATIENCE * 1000), 1);
    connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(connection != -1);
}

/* Opening fails with `error` and leaves nothing open. */
static void expect_failure(const char *address, int port, int error)
{
    int before = descriptors_of(getpid());

    errno = 0;
    assert_int_equal(listener_open(address, port), -1);
    assert_int_equal(errno, error);
    assert_int_equal(descriptors_of(getpid()), before);
}

/* ---- addresses ---- */

static void numeric_addresses_are_valid(void **state)
{
    const char *const right[] = {"127.0.0.1", "0.0.0.0",     "255.255.255.255", "::1",
                                 "::",        "2001:db8::1", "::ffff:127.0.0.1"};

    (void)state;
    for (size_t i = 0; i < sizeof(right) / sizeof(*right); i++)
        if (!address_valid(right[i]))
            fail_msg("%s was refused", right[i]);
}

static void names_and_nonsense_are_not(void **state)
{
    const char *const wrong[] = {"",          "localhost",  "example.org", "256.0.0.1",
                                 "1.2.3.4.5", "127.0.0.1 ", " 127.0.0.1",  "127.0.0.1:80",
                                 "[::1]",     ":::",        "-1",          "*"};

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        if (address_valid(wrong[i]))
            fail_msg("\"%s\" was taken for an address", wrong[i]);
        expect_failure(wrong[i], 0, EINVAL);
    }
}

/* ---- opening ---- */

static void port_0_takes_a_free_one(void **state)
{
    (void)state;
    listener = listener_open("127.0.0.1", 0);
    connection = listener_open("127.0.0.1", 0);
    assert_true(listener != -1);
    assert_true(connection != -1);
    assert_true(port_of(listener) > 0);
    assert_int_not_equal(port_of(listener), port_of(connection));
}

static void the_listener_has_the_flags_and_options_that_servers_rely_on(void **state)
{
    (void)state;
    listener = listener_open("127.0.0.1", 0);
    assert_true(listener != -1);
    assert_true(fcntl(listener, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(listener, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(option_of(listener, SOL_SOCKET, SO_ACCEPTCONN), 1);
    assert_int_equal(option_of(listener, SOL_SOCKET, SO_REUSEADDR), 1);
    assert_int_equal(option_of(listener, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(option_of(listener, SOL_SOCKET, SO_OOBINLINE), 1);
    assert_int_equal(option_of(listener, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
    assert_int_equal(descriptors_of(getpid()), open_before + 1);
}

static void accepting_does_not_wait(void **state)
{
    (void)state;
    listener = listener_open("127.0.0.1", 0);
    assert_int_equal(accept(listener, NULL, NULL), -1);
    assert_int_equal(errno, EAGAIN);
}

static void connections_are_blocking_and_without_delay(void **state)
{
    (void)state;
    listener = listener_open("127.0.0.1", 0);
    connect_and_accept();
    assert_false(fcntl(connection, F_GETFL) & O_NONBLOCK);
    assert_true(option_of(connection, IPPROTO_TCP, TCP_NODELAY) != 0);
    assert_int_equal(write(client, "x", 1), 1);
    assert_int_equal(read(connection, &(char){0}, 1), 1);
}

static void an_urgent_byte_arrives_among_the_others(void **state)
{
    char bytes[4] = "";

    (void)state;
    listener = listener_open("127.0.0.1", 0);
    connect_and_accept();
    assert_int_equal(option_of(connection, SOL_SOCKET, SO_OOBINLINE), 1);
    assert_int_equal(send(client, "a", 1, 0), 1);
    assert_int_equal(send(client, "!", 1, MSG_OOB), 1);
    assert_int_equal(send(client, "b", 1, 0), 1);
    for (int i = 0; i < 3; i++) /* recv(2) stops at the mark: one call does not bring all */
        assert_int_equal(recv(connection, bytes + i, 1, 0), 1);
    assert_string_equal(bytes, "a!b");
}

static void ipv6_works_as_well(void **state)
{
    (void)state;
    if (!has_ipv6())
        return;
    listener = listener_open("::1", 0);
    assert_true(listener != -1);
    connect_and_accept();
    assert_true(option_of(connection, IPPROTO_TCP, TCP_NODELAY) != 0);
}

static void a_port_in_use_is_an_error_that_leaves_nothing_open(void **state)
{
    (void)state;
    listener = listener_open("127.0.0.1", 0);
    expect_failure("127.0.0.1", port_of(listener), EADDRINUSE);
}

/* The side that closes first keeps the port in TIME_WAIT, and that must not hinder a restart. */
static void a_port_of_closed_connections_can_be_taken_again(void **state)
{
    (void)state;
    listener = listener_open("127.0.0.1", 0);
    int port = port_of(listener);
    connect_and_accept();
    close(connection);
    connection = -1;
    assert_int_equal(read(client, &(char){0}, 1), 0);
    close(client);
    client = -1;
    close(listener);
    listener = listener_open("127.0.0.1", port);
    assert_true(listener != -1);
    assert_int_equal(port_of(listener), port);
}

/* The same with a connection that is still open, as a child may have it when its parent starts
 * anew; this does not depend on the kernel's room for connections in TIME_WAIT. */
static void a_port_of_an_open_connection_can_be_taken_again(void **state)
{
    (void)state;
    listener = listener_open("127.0.0.1", 0);
    int port = port_of(listener);
    connect_and_accept();
    close(listener);
    listener = listener_open("127.0.0.1", port);
    assert_true(listener != -1);
    assert_int_equal(port_of(listener), port);
}

static void a_reserved_port_is_for_shared_listeners_and_nobody_else(void **state)
{
    (void)state;
    listener = port_reserve("127.0.0.1", 0);
    assert_true(listener != -1);
    int port = local_port(listener);
    assert_int_equal(port, port_of(listener));
    expect_failure("127.0.0.1", port, EADDRINUSE); /* though nobody listens yet */
    client = listener_open_shared("127.0.0.1", port);
    connection = listener_open_shared("127.0.0.1", port);
    assert_true(client != -1 && connection != -1);
    assert_int_equal(local_port(client), port);
    expect_failure("127.0.0.1", port, EADDRINUSE); /* now somebody listens */
    assert_int_equal(port_reserve("127.0.0.1", port), -1);
    assert_int_equal(errno, EADDRINUSE);
}

static void what_is_reserved_receives_nothing(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET};

    (void)state;
    listener = port_reserve("127.0.0.1", 0);
    assert_true(listener != -1);
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    address.sin_port = htons((uint16_t)local_port(listener));
    client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), -1);
    assert_int_equal(errno, ECONNREFUSED);
}

static void the_port_of_what_has_none_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(local_port(-1), -1);
    assert_int_equal(errno, EBADF);
    listener = listener_open("::1", 0);
    if (listener != -1) /* where there is IPv6 */
        assert_int_equal(local_port(listener), port_of(listener));
}

static void an_address_of_another_machine_is_an_error_that_leaves_nothing_open(void **state)
{
    (void)state;
    int unbound = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in elsewhere = {.sin_family = AF_INET};
    inet_pton(AF_INET, "192.0.2.1", &elsewhere.sin_addr); /* RFC 5737: nobody has it */
    bool takes_any = bind(unbound, (struct sockaddr *)&elsewhere, sizeof(elsewhere)) == 0;
    close(unbound);
    if (takes_any)
        skip(); /* ip_nonlocal_bind is on */
    expect_failure("192.0.2.1", 0, EADDRNOTAVAIL);
}

static void at_the_limit_of_descriptors_it_fails_and_afterwards_works(void **state)
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
    int refused = listener_open("127.0.0.1", 0), error = errno;
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(refused, -1);
    assert_int_equal(error, EMFILE);
    assert_int_equal(descriptors_of(getpid()), open_before);
    listener = listener_open("127.0.0.1", 0);
    assert_true(listener != -1);
}

/* ---- names ---- */

static void the_name_is_address_and_port(void **state)
{
    char name[SOCKET_NAME_MAX], expected[SOCKET_NAME_MAX];

    (void)state;
    listener = listener_open("127.0.0.1", 0);
    snprintf(expected, sizeof(expected), "127.0.0.1:%d", port_of(listener));
    assert_ptr_equal(local_name(listener, name), name);
    assert_string_equal(name, expected);
}

static void the_name_of_an_ipv6_socket_has_brackets(void **state)
{
    char name[SOCKET_NAME_MAX], expected[SOCKET_NAME_MAX];

    (void)state;
    if (!has_ipv6())
        return;
    listener = listener_open("::1", 0);
    assert_true(listener != -1);
    snprintf(expected, sizeof(expected), "[::1]:%d", port_of(listener));
    assert_string_equal(local_name(listener, name), expected);
}

static void what_has_no_name_is_a_question_mark(void **state)
{
    char name[SOCKET_NAME_MAX];

    (void)state;
    assert_string_equal(local_name(-1, name), "?");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(numeric_addresses_are_valid),
        TEST(names_and_nonsense_are_not),
        TEST(port_0_takes_a_free_one),
        TEST(the_listener_has_the_flags_and_options_that_servers_rely_on),
        TEST(accepting_does_not_wait),
        TEST(connections_are_blocking_and_without_delay),
        TEST(an_urgent_byte_arrives_among_the_others),
        TEST(ipv6_works_as_well),
        TEST(a_port_in_use_is_an_error_that_leaves_nothing_open),
        TEST(a_port_of_closed_connections_can_be_taken_again),
        TEST(a_port_of_an_open_connection_can_be_taken_again),
        TEST(a_reserved_port_is_for_shared_listeners_and_nobody_else),
        TEST(what_is_reserved_receives_nothing),
        TEST(the_port_of_what_has_none_is_an_error),
        TEST(an_address_of_another_machine_is_an_error_that_leaves_nothing_open),
        TEST(at_the_limit_of_descriptors_it_fails_and_afterwards_works),
        TEST(the_name_is_address_and_port),
        TEST(the_name_of_an_ipv6_socket_has_brackets),
        TEST(what_has_no_name_is_a_question_mark),
    };

    return run_chosen(tests);
}
