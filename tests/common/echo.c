/* Unit test of common/echo.c: short counts, interruptions and errors of the calls beneath it. */
#include "support.h"

#include "echo.h"
#include "listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the next calls are to do: at most `chunk` bytes at a time; fail with `error` at call `at`.
 */
static struct fault {
    size_t chunk;
    int at, error, calls;
} recv_fault, send_fault;

ssize_t __real_recv(int fd, void *buffer, size_t length, int flags);
ssize_t __wrap_recv(int fd, void *buffer, size_t length, int flags);
ssize_t __real_send(int fd, const void *buffer, size_t length, int flags);
ssize_t __wrap_send(int fd, const void *buffer, size_t length, int flags);

static bool faulty(struct fault *fault, size_t *length)
{
    if (fault->chunk > 0 && *length > fault->chunk)
        *length = fault->chunk;
    if (++fault->calls != fault->at)
        return false;
    errno = fault->error;
    return true;
}

ssize_t __wrap_recv(int fd, void *buffer, size_t length, int flags)
{
    return faulty(&recv_fault, &length) ? -1 : __real_recv(fd, buffer, length, flags);
}

ssize_t __wrap_send(int fd, const void *buffer, size_t length, int flags)
{
    return faulty(&send_fault, &length) ? -1 : __real_send(fd, buffer, length, flags);
}

static int pair[2]; /* 0 is the client's, 1 the server's */

static int set_up(void **state)
{
    (void)state;
    recv_fault = send_fault = (struct fault){0};
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
}

static int tear_down(void **state)
{
    (void)state;
    close(pair[0]);
    close(pair[1]);
    return 0;
}

static void send_all_values(char bytes[256])
{
    for (int i = 0; i < 256; i++)
        bytes[i] = (char)i;
    assert_int_equal(write(pair[0], bytes, 256), 256);
    shutdown(pair[0], SHUT_WR);
}

static void expect_all_values(const char bytes[256])
{
    char back[512];
    size_t received = 0;
    ssize_t n;

    shutdown(pair[1], SHUT_WR);
    while ((n = read(pair[0], back + received, sizeof(back) - received)) > 0)
        received += (size_t)n;
    assert_int_equal(received, 256);
    assert_memory_equal(back, bytes, 256);
}

static void every_value_comes_back(void **state)
{
    char bytes[256];

    (void)state;
    send_all_values(bytes);
    assert_int_equal(echo(pair[1]), 0);
    expect_all_values(bytes);
}

static void short_counts_are_continued(void **state)
{
    char bytes[256];

    (void)state;
    recv_fault.chunk = 7;
    send_fault.chunk = 3;
    send_all_values(bytes);
    assert_int_equal(echo(pair[1]), 0);
    expect_all_values(bytes);
}

static void interruptions_are_not_errors(void **state)
{
    char bytes[256];

    (void)state;
    recv_fault = (struct fault){.at = 1, .error = EINTR};
    send_fault = (struct fault){.chunk = 100, .at = 2, .error = EINTR};
    send_all_values(bytes);
    assert_int_equal(echo(pair[1]), 0);
    expect_all_values(bytes);
}

/* A connection over TCP in place of the pair. */
static void connect_pair(void)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    int listener = listener_open("127.0.0.1", 0);

    assert_true(listener != -1);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    close(pair[0]);
    close(pair[1]);
    pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(pair[0], (struct sockaddr *)&address, length), 0);
    assert_int_equal(poll(&(struct pollfd){.fd = listener, .events = POLLIN}, 1, PATIENCE * 1000),
                     1);
    pair[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(pair[1] != -1);
    close(listener);
}

/* At the beginning, in the middle, two in a row, at the end. */
static void urgent_bytes_come_back_in_their_places(void **state)
{
    static const char sent[] = "!ab!c!!d!";
    char back[16] = "";

    (void)state;
    connect_pair();
    for (size_t i = 0; i < sizeof(sent) - 1; i++)
        assert_int_equal(send(pair[0], sent + i, 1, sent[i] == '!' ? MSG_OOB : 0), 1);
    shutdown(pair[0], SHUT_WR);
    assert_int_equal(echo(pair[1]), 0);
    shutdown(pair[1], SHUT_WR);
    recv(pair[0], back, sizeof(back) - 1, MSG_WAITALL);
    assert_string_equal(back, sent);
}

static void a_reset_is_an_error(void **state)
{
    char bytes[256];

    (void)state;
    recv_fault = (struct fault){.at = 2, .error = ECONNRESET};
    send_all_values(bytes);
    assert_int_equal(echo(pair[1]), -1);
    assert_int_equal(errno, ECONNRESET);
}

static void a_client_that_has_gone_is_an_error_and_no_signal(void **state)
{
    (void)state;
    assert_int_equal(write(pair[0], "x", 1), 1);
    close(pair[0]);
    pair[0] = -1;
    assert_int_equal(echo(pair[1]), -1);
    assert_int_equal(errno, EPIPE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_value_comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(short_counts_are_continued, set_up, tear_down),
        cmocka_unit_test_setup_teardown(interruptions_are_not_errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(urgent_bytes_come_back_in_their_places, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reset_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_client_that_has_gone_is_an_error_and_no_signal, set_up,
                                        tear_down),
    };

    return run_chosen(tests);
}
