/* Unit test of common/log.c: descriptors that take nothing, and whoever else writes to them. */
#include "support.h"

#include "log.h"
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static int64_t clock_ms; /* what time it is for series_begins */
static int other_writer; /* a descriptor that somebody else fills as soon as poll has said "room" */

int64_t __wrap_now_ms(void);
int __real_poll(struct pollfd *descriptors, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *descriptors, nfds_t count, int timeout);

int64_t __wrap_now_ms(void)
{
    return clock_ms;
}

static int reader, writer; /* what is written to, and the end that would read it */
static int flags;          /* of the writer's open file description */
static sigset_t mask;

static const char line[] = "a line\n";
enum { LINE_BYTES = sizeof(line) - 1 };

/* Writes to `fd` as long as it takes anything, and leaves its flags as they were. */
static void fill(int fd)
{
    static const char bytes[4096] = {0};
    int before = fcntl(fd, F_GETFL);

    fcntl(fd, F_SETFL, before | O_NONBLOCK);
    for (size_t chunk = sizeof(bytes); chunk > 0; chunk /= 2)
        while (write(fd, bytes, chunk) > 0)
            continue;
    assert_int_equal(errno, EAGAIN);
    fcntl(fd, F_SETFL, before);
}

int __wrap_poll(struct pollfd *descriptors, nfds_t count, int timeout)
{
    int result = __real_poll(descriptors, count, timeout);

    if (other_writer != -1)
        fill(other_writer);
    return result;
}

/* Reads all that is there, into `bytes` as a text if that is given. */
static size_t drain(int fd, char *bytes, size_t size)
{
    char scrap[4096];
    size_t length = 0;
    struct pollfd readable = {.fd = fd, .events = POLLIN};

    while (__real_poll(&readable, 1, 0) == 1 && readable.revents & POLLIN) {
        ssize_t count =
            bytes ? read(fd, bytes + length, size - 1 - length) : read(fd, scrap, sizeof(scrap));
        if (count <= 0)
            break;
        length += (size_t)count;
    }
    if (bytes)
        bytes[length] = '\0';
    return length;
}

static int set_up(void **state)
{
    (void)state;
    reader = writer = other_writer = -1;
    clock_ms = 1000;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (reader != -1)
        close(reader);
    if (writer != -1)
        close(writer);
    signal(SIGPIPE, SIG_IGN); /* takes away what is pending */
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    return 0;
}

static void open_pipe(int size)
{
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    reader = ends[0];
    writer = ends[1];
    assert_true(fcntl(writer, F_SETPIPE_SZ, size) >= size);
    flags = fcntl(writer, F_GETFL);
}

static void open_sockets(int type)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), 0);
    reader = ends[0];
    writer = ends[1];
    flags = fcntl(writer, F_GETFL);
}

/* A terminal: what is written to the writer, whoever shows the terminal reads from the reader. */
static void open_terminal(void)
{
    reader = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(reader != -1);
    assert_int_equal(grantpt(reader), 0);
    assert_int_equal(unlockpt(reader), 0);
    writer = open(ptsname(reader), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(writer != -1);
    flags = fcntl(writer, F_GETFL);
}

/* Writes a line, which must not change whether the description waits. Returns 0, or the error. */
static int error_of_a_line(void)
{
    int error = write_now(writer, line, LINE_BYTES) == 0 ? 0 : errno;

    assert_int_equal(fcntl(writer, F_GETFL), flags);
    return error;
}

/* Leaves no descriptor to open. Returns what to give to setrlimit(2) afterwards. */
static struct rlimit take_all_descriptors(void)
{
    struct rlimit before, none_left;
    int lowest_free = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);

    assert_true(lowest_free != -1);
    close(lowest_free);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none_left = before;
    none_left.rlim_cur = (rlim_t)lowest_free;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none_left), 0);
    return before;
}

/* ---- pipes ---- */

static void a_full_pipe_is_not_waited_for(void **state)
{
    const int sizes[] = {4096, 65536};
    char text[64];

    for (int i = 0; i < 2; i++) {
        open_pipe(sizes[i]);
        int before = descriptors_of(getpid());
        assert_int_equal(error_of_a_line(), 0);
        assert_int_equal(drain(reader, text, sizeof(text)), LINE_BYTES);
        assert_string_equal(text, line);
        fill(writer);
        for (int again = 0; again < 3; again++)
            assert_int_equal(error_of_a_line(), EAGAIN);
        assert_int_equal(drain(reader, NULL, 0), sizes[i]);
        assert_int_equal(error_of_a_line(), 0);
        assert_int_equal(descriptors_of(getpid()), before);
        tear_down(state);
        set_up(state);
    }
}

/* In room for a part of a line a pipe takes nothing: a line is never cut there. */
static void a_pipe_without_room_for_the_whole_line_takes_none_of_it(void **state)
{
    (void)state;
    open_pipe(4096);
    fill(writer);
    assert_int_equal(read(reader, &(char){0}, 1), 1);
    assert_int_equal(error_of_a_line(), EAGAIN);
    assert_int_equal(drain(reader, NULL, 0), 4095);
}

static bool is_asleep(void *pid)
{
    return process_state(*(pid_t *)pid) == 'S';
}

static void a_pipe_on_which_another_writer_waits_is_not_waited_for(void **state)
{
    (void)state;
    open_pipe(4096);
    fill(writer);
    pid_t other = fork_child();
    assert_true(other != -1);
    if (other == 0)
        _exit(write(writer, line, LINE_BYTES) == LINE_BYTES ? 0 : 1);
    assert_true(wait_until(is_asleep, &other));
    assert_int_equal(error_of_a_line(), EAGAIN);
    drain(reader, NULL, 0);
    assert_int_equal(waitpid(other, NULL, 0), other);
}

/* Between a poll that says "room" and the write there may be somebody else's write. */
static void another_writer_in_the_same_moment_does_not_make_it_wait(void **state)
{
    (void)state;
    open_pipe(4096);
    other_writer = writer;
    int error = error_of_a_line(); /* EAGAIN would be right, too */
    assert_true(error == 0 || error == EAGAIN);
}

static void more_than_a_pipe_holds_is_cut(void **state)
{
    static const char much[3 * 4096];

    (void)state;
    open_pipe(4096);
    assert_int_equal(write_now(writer, much, sizeof(much)), -1);
    assert_int_equal(errno, EIO);
    assert_int_equal(drain(reader, NULL, 0), 4096);
}

static bool is_pending(int signal_number)
{
    sigset_t pending;

    sigpending(&pending);
    return sigismember(&pending, signal_number) == 1;
}

static bool is_blocked(int signal_number)
{
    sigset_t blocked;

    sigprocmask(SIG_BLOCK, NULL, &blocked);
    return sigismember(&blocked, signal_number) == 1;
}

/* The action of SIGPIPE is its default: it would end this test. */
static void a_pipe_that_nobody_reads_is_an_error_and_no_signal(void **state)
{
    (void)state;
    open_pipe(4096);
    close(reader);
    reader = -1;
    assert_int_equal(error_of_a_line(), EPIPE);
    assert_false(is_blocked(SIGPIPE));

    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    sigprocmask(SIG_BLOCK, &set, NULL);
    assert_int_equal(error_of_a_line(), EPIPE);
    assert_false(is_pending(SIGPIPE)); /* it would arrive later, when nobody writes */
    assert_true(is_blocked(SIGPIPE));
}

static void a_file_that_may_grow_no_more_is_an_error_and_no_signal(void **state)
{
    struct rlimit before, limit;
    char path[] = "/tmp/log-test-XXXXXX";
    int file = mkstemp(path);

    (void)state;
    assert_true(file != -1 && unlink(path) == 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = (struct rlimit){.rlim_cur = 10, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int first = write_now(file, "eight...", 8), second = write_now(file, "eight...", 8);
    int part = errno, third = write_now(file, "eight...", 8), none = errno;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(first, 0);
    assert_true(second == -1 && part == EIO);
    assert_true(third == -1 && none == EFBIG); /* and SIGXFSZ has not ended this process */
    close(file);
}

static void a_sigpipe_that_was_pending_before_stays(void **state)
{
    sigset_t set;

    (void)state;
    open_pipe(4096);
    close(reader);
    reader = -1;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGPIPE);
    assert_int_equal(error_of_a_line(), EPIPE);
    assert_true(is_pending(SIGPIPE));
}

/* ---- at the limit of descriptors, where a pipe cannot be opened anew ---- */

static void at_the_limit_of_descriptors_a_line_arrives_and_is_not_waited_for(void **state)
{
    int at_room, when_full, without_reader;
    char text[64];

    (void)state;
    open_pipe(4096);
    struct rlimit before = take_all_descriptors();
    at_room = error_of_a_line();
    drain(reader, text, sizeof(text));
    fill(writer);
    when_full = error_of_a_line();
    close(reader);
    reader = dup(STDOUT_FILENO); /* takes its number: nothing is free again */
    without_reader = error_of_a_line();
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(at_room, 0);
    assert_string_equal(text, line);
    assert_int_equal(when_full, EAGAIN);
    assert_int_equal(without_reader, EPIPE);
}

static void at_the_limit_of_descriptors_much_is_not_waited_for_either(void **state)
{
    static const char much[3 * 4096];

    (void)state;
    open_pipe(4096);
    struct rlimit before = take_all_descriptors();
    int result = write_now(writer, much, sizeof(much)), error = errno;
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(result, -1);
    assert_int_equal(error, EIO);
}

/* ---- terminals ---- */

/* What is written to a terminal arrives a little later. */
static void expect_shown(const char *wanted)
{
    struct pollfd readable = {.fd = reader, .events = POLLIN};
    char text[64] = "";
    size_t length = 0;

    while (length < strlen(wanted)) {
        assert_int_equal(__real_poll(&readable, 1, PATIENCE * 1000), 1);
        ssize_t count = read(reader, text + length, sizeof(text) - 1 - length);
        assert_true(count > 0);
        length += (size_t)count;
    }
    assert_string_equal(text, wanted);
}

static bool is_shown_again(void *argument)
{
    (void)argument;
    drain(reader, NULL, 0);
    return error_of_a_line() == 0;
}

/* Lines of so many bytes go out until one does not. Returns its error, or 0 if a terminal takes
 * without end. */
static int error_of_many_lines(size_t bytes)
{
    char a_line[1000];

    memset(a_line, 'x', bytes - 1);
    a_line[bytes - 1] = '\n';
    for (int i = 0; i < 1000000; i++)
        if (write_now(writer, a_line, bytes) == -1)
            return errno;
    return 0;
}

static void a_terminal_that_nobody_shows_is_not_waited_for(void **state)
{
    (void)state;
    open_terminal();
    assert_int_equal(error_of_a_line(), 0);
    for (int again = 0; again < 3; again++) { /* what it holds moves on, and makes room */
        int error = error_of_many_lines(1000);
        assert_true(error == EAGAIN || error == EIO); /* EIO: there was room for a part */
    }
    assert_int_equal(fcntl(writer, F_GETFL), flags);
    assert_true(wait_until(is_shown_again, NULL));
}

static void a_stopped_terminal_is_not_waited_for(void **state)
{
    (void)state;
    open_terminal();
    assert_int_equal(tcflow(writer, TCOOFF), 0); /* what Ctrl-S does */
    assert_int_equal(error_of_a_line(), EAGAIN);
    assert_int_equal(tcflow(writer, TCOON), 0);
    assert_int_equal(error_of_a_line(), 0);
    expect_shown("a line\r\n");
}

/* As where the terminal is another user's, after su: then it cannot be opened again either. */
static void at_the_limit_of_descriptors_a_terminal_is_not_waited_for_either(void **state)
{
    const size_t lengths[] = {1000, 1, 2, 41, 64, 100, 127, 256};

    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        open_terminal();
        struct rlimit before = take_all_descriptors();
        int first = error_of_a_line(), later = error_of_many_lines(lengths[i]);
        setrlimit(RLIMIT_NOFILE, &before);
        assert_int_equal(first, 0);
        assert_true(later == EAGAIN || later == EIO);
        close(reader);
        close(writer);
        reader = writer = -1;
    }
}

/* ---- sockets ---- */

static void a_full_socket_is_not_waited_for(void **state)
{
    const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    char text[64];

    for (int i = 0; i < 3; i++) {
        open_sockets(types[i]);
        assert_int_equal(error_of_a_line(), 0);
        drain(reader, text, sizeof(text));
        assert_string_equal(text, line);
        fill(writer);
        assert_int_equal(error_of_a_line(), EAGAIN);
        drain(reader, NULL, 0);
        assert_int_equal(error_of_a_line(), 0);
        tear_down(state);
        set_up(state);
    }
}

static void a_socket_that_nobody_reads_is_an_error_and_no_signal(void **state)
{
    (void)state;
    open_sockets(SOCK_STREAM);
    close(reader);
    reader = -1;
    assert_int_equal(error_of_a_line(), EPIPE);
}

/* ---- files and devices ---- */

/* The shell may have given the same open file description to others: "server 2>>log & other >&2" */
static void a_file_is_written_where_the_last_writer_stopped(void **state)
{
    char text[64] = "";

    (void)state;
    writer = memfd_create("log", MFD_CLOEXEC);
    reader = dup(writer);
    flags = fcntl(writer, F_GETFL);
    assert_int_equal(write(reader, "before\n", 7), 7);
    assert_int_equal(error_of_a_line(), 0);
    assert_int_equal(write(reader, "after\n", 6), 6);
    assert_true(pread(reader, text, sizeof(text) - 1, 0) > 0);
    assert_string_equal(text, "before\na line\nafter\n");
}

static void a_device_that_is_full_is_an_error(void **state)
{
    (void)state;
    writer = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(writer != -1);
    flags = fcntl(writer, F_GETFL);
    assert_int_equal(error_of_a_line(), ENOSPC);
}

static void a_descriptor_that_is_closed_is_an_error(void **state)
{
    (void)state;
    open_pipe(4096);
    int closed = fcntl(writer, F_DUPFD_CLOEXEC, 500);
    close(closed);
    assert_int_equal(write_now(closed, line, LINE_BYTES), -1);
    assert_int_equal(errno, EBADF);
}

/* ---- lines ---- */

/* What log_line says of this text, on a stderr of the test's. */
static void say(const char *text, char *said, size_t size)
{
    int old = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

    open_pipe(65536);
    dup2(writer, STDERR_FILENO);
    errno = EXDEV;
    log_line("%s", text);
    int error = errno;
    dup2(old, STDERR_FILENO);
    close(old);
    drain(reader, said, size);
    assert_int_equal(error, EXDEV);
}

static void a_line_begins_with_the_program_and_keeps_errno(void **state)
{
    char said[64];

    (void)state;
    say("it is so", said, sizeof(said));
    assert_string_equal(said, "log: it is so\n");
}

/* A pipe takes up to PIPE_BUF bytes whole, so that lines of several processes do not mix. */
static void a_long_line_is_cut_and_ends_with_a_newline(void **state)
{
    char text[5000], said[6000];

    for (size_t length = 1000; length < sizeof(text); length += length < 1030 ? 1 : 3000) {
        memset(text, 'x', length);
        text[length] = '\0';
        say(text, said, sizeof(said));
        size_t whole = strlen("log: ") + length + 1;
        assert_int_equal(strlen(said), whole < 1023 ? whole : 1023);
        assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
        assert_int_equal(strspn(said + 5, "x"), strlen(said) - 6);
        tear_down(state);
        set_up(state);
    }
}

static void a_program_with_a_long_name_has_room_for_its_line(void **state)
{
    char name[2000], said[4000], *before = program_invocation_short_name;

    (void)state;
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    program_invocation_short_name = name;
    say("it is so", said, sizeof(said));
    program_invocation_short_name = before;
    assert_non_null(strstr(said, "it is so\n"));
}

static void a_line_for_a_reader_who_has_gone_keeps_errno_and_the_process(void **state)
{
    int old = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

    (void)state;
    open_pipe(4096);
    close(reader);
    reader = -1;
    dup2(writer, STDERR_FILENO);
    errno = EXDEV;
    log_line("nobody reads this");
    int error = errno;
    dup2(old, STDERR_FILENO);
    close(old);
    assert_int_equal(error, EXDEV);
}

/* ---- series ---- */

static void a_series_begins_once_and_again_after_ten_seconds_of_silence(void **state)
{
    int64_t last = 0, other = 0;

    (void)state;
    assert_true(series_begins(&last));
    for (int i = 0; i < 1000; i++) { /* far longer than ten seconds: it goes on */
        clock_ms += 100;
        assert_false(series_begins(&last));
    }
    assert_true(series_begins(&other)); /* a series of its own */
    clock_ms += 9999;
    assert_false(series_begins(&last));
    clock_ms += 10000;
    assert_true(series_begins(&last));
    assert_false(series_begins(&last));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_full_pipe_is_not_waited_for),
        TEST(a_pipe_without_room_for_the_whole_line_takes_none_of_it),
        TEST(a_pipe_on_which_another_writer_waits_is_not_waited_for),
        TEST(another_writer_in_the_same_moment_does_not_make_it_wait),
        TEST(more_than_a_pipe_holds_is_cut),
        TEST(a_pipe_that_nobody_reads_is_an_error_and_no_signal),
        TEST(a_file_that_may_grow_no_more_is_an_error_and_no_signal),
        TEST(a_sigpipe_that_was_pending_before_stays),
        TEST(at_the_limit_of_descriptors_a_line_arrives_and_is_not_waited_for),
        TEST(at_the_limit_of_descriptors_much_is_not_waited_for_either),
        TEST(a_terminal_that_nobody_shows_is_not_waited_for),
        TEST(a_stopped_terminal_is_not_waited_for),
        TEST(at_the_limit_of_descriptors_a_terminal_is_not_waited_for_either),
        TEST(a_full_socket_is_not_waited_for),
        TEST(a_socket_that_nobody_reads_is_an_error_and_no_signal),
        TEST(a_file_is_written_where_the_last_writer_stopped),
        TEST(a_device_that_is_full_is_an_error),
        TEST(a_descriptor_that_is_closed_is_an_error),
        TEST(a_line_begins_with_the_program_and_keeps_errno),
        TEST(a_long_line_is_cut_and_ends_with_a_newline),
        TEST(a_program_with_a_long_name_has_room_for_its_line),
        TEST(a_line_for_a_reader_who_has_gone_keeps_errno_and_the_process),
        TEST(a_series_begins_once_and_again_after_ten_seconds_of_silence),
    };

    return run_chosen(tests);
}
