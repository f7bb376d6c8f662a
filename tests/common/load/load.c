/* Test of common/load: the real program against a server that misbehaves in every way that load can
 * tell. The server is a child of this test, and serves one connection after the other. */
#include "support.h"

#include "echo.h"
#include "listener.h"
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    BYTES = 64,  /* load's default length of a message */
    NARROW = 50, /* columns of a terminal */
};

/* What the server has seen, in memory that it shares with the test. */
struct seen {
    long connections, bytes;
    char first[BYTES]; /* the first message of the last connection */
};

static struct seen *seen;

static pid_t server;
static char address[64] = "127.0.0.1", port[16];
static struct output output;

/* ---- ways to serve a connection, and to close it ---- */

/* Reads a message of load's default length. */
static void receive(int connection, char message[BYTES])
{
    if (recv(connection, message, BYTES, MSG_WAITALL) == BYTES)
        memcpy(seen->first, message, BYTES);
}

static void serve_well(int connection)
{
    echo(connection);
    close(connection);
}

static void serve_one_message(int connection)
{
    char message[BYTES];

    receive(connection, message);
    send(connection, message, BYTES, MSG_NOSIGNAL);
    close(connection);
}

static void serve_and_count(int connection)
{
    static char buffer[65536];
    ssize_t n;

    while ((n = recv(connection, buffer, sizeof(buffer), 0)) > 0) {
        seen->bytes += n;
        for (ssize_t sent = 0, now; sent < n; sent += now)
            if ((now = send(connection, buffer + sent, (size_t)(n - sent), MSG_NOSIGNAL)) == -1)
                _exit(1);
    }
    close(connection);
}

/* As a server that works by lines: a line goes back when its end is there. Counts them as `bytes`;
 * what is no line of printable bytes does not go back. */
static void serve_lines(int connection)
{
    static char line[1 << 20];
    size_t length = 0;
    FILE *input = fdopen(connection, "r");

    for (int c; length < sizeof(line) && (c = getc(input)) != EOF;) {
        line[length++] = (char)c;
        if (c == '\n') {
            seen->bytes++; /* before the client can know, and end, and the test look */
            send(connection, line, length, MSG_NOSIGNAL);
            length = 0;
        } else if (c < ' ' || c > '~') {
            break;
        }
    }
    fclose(input);
}

static void reset_at_once(int connection)
{
    reset(connection);
}

static void reset_after_half(int connection)
{
    char message[BYTES];

    receive(connection, message);
    send(connection, message, BYTES / 2, MSG_NOSIGNAL);
    reset(connection);
}

static void close_without_answer(int connection)
{
    char message[BYTES];

    receive(connection, message);
    close(connection);
}

/* MSG_MORE holds the half back until the end-of-file can travel in the same segment. */
static void close_with_half(int connection)
{
    char message[BYTES];

    receive(connection, message);
    send(connection, message, BYTES / 2, MSG_NOSIGNAL | MSG_MORE);
    close(connection);
}

static void corrupt_the_first_byte(int connection)
{
    char message[BYTES];

    receive(connection, message);
    message[0] = (char)(message[0] ^ 1);
    send(connection, message, BYTES, MSG_NOSIGNAL);
    close(connection);
}

static void corrupt_the_last_byte(int connection)
{
    char message[BYTES];

    receive(connection, message);
    message[BYTES - 1] = (char)(message[BYTES - 1] ^ 0x80);
    send(connection, message, BYTES, MSG_NOSIGNAL);
    close(connection);
}

static void send_one_byte_more(int connection)
{
    char message[BYTES + 1] = {0};

    receive(connection, message);
    send(connection, message, BYTES + 1, MSG_NOSIGNAL);
    close(connection);
}

/* Reads all, and answers nothing until the client has given up. */
static void be_silent(int connection)
{
    char message[BYTES];

    while (recv(connection, message, BYTES, 0) > 0)
        continue;
    close(connection);
}

/* Every second one hears nothing. */
static void serve_every_second(int connection)
{
    if (seen->connections % 2 == 1)
        serve_well(connection);
}

/* From the hundredth connection on load, the other child of this server's parent, may open no
 * descriptor. */
static void serve_and_limit_load(int connection)
{
    const struct rlimit none = {0, 0};
    pid_t siblings[4] = {0};

    if (seen->connections == 100 && children_of(getppid(), siblings, 4) == 2)
        prlimit(siblings[siblings[0] == getpid()], RLIMIT_NOFILE, &none, NULL);
    serve_well(connection);
}

/* Silence, for which load must wait, comes last. */
static void do_each_in_turn(int connection)
{
    void (*const ways[])(int) = {serve_one_message,    reset_at_once,         serve_one_message,
                                 close_without_answer, corrupt_the_last_byte, be_silent};

    ways[(seen->connections - 1) % 6](connection);
}

/* ---- the server ---- */

static _Noreturn void serve_all(int listener, void (*serve)(int))
{
    fcntl(listener, F_SETFL, 0); /* blocking */
    for (;;) {
        int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (connection == -1)
            continue;
        seen->connections++;
        serve(connection);
    }
}

/* Reads the port of a socket, IPv4 or IPv6, into `port`. */
static void learn_port(int socket)
{
    char name[SOCKET_NAME_MAX];

    snprintf(port, sizeof(port), "%.10s", strrchr(local_name(socket, name), ':') + 1);
}

static void start(void (*serve)(int))
{
    int listener = listener_open(address, 0);

    assert_true(listener != -1);
    learn_port(listener);
    server = fork_child();
    assert_true(server != -1);
    if (server == 0)
        serve_all(listener, serve);
    close(listener);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(address, "127.0.0.1");
    strcpy(port, "9");
    seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return seen == MAP_FAILED ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (server != 0) {
        kill(server, SIGKILL);
        waitpid(server, NULL, 0);
        server = 0;
    }
    munmap(seen, sizeof(*seen));
    output_free(&output);
    return 0;
}

/* ---- load and its table ---- */

/* Runs load against the server with these further arguments, the first of which is "-T" for a
 * table. NULL ends them. Patience is long, for what this test is not about. */
static void load(const char *first, ...)
{
    const char *arguments[32] = {built("common/load/load"), "-a", address, "-p", port, "-t", "60"};
    int count = 7;
    va_list rest;

    va_start(rest, first);
    for (const char *next = first; next; next = va_arg(rest, const char *)) {
        assert_true(count < 31);
        arguments[count++] = next;
    }
    va_end(rest);
    output_free(&output);
    output = run_with(arguments);
}

static const char header[] =
    "clients\tbytes\tmessages\tconnections\tok\trefused\treset\tcut_short\tcorrupt\ttimed_out\t"
    "unfinished\tseconds\trate\tp50_us\tp90_us\tp99_us\tp99.9_us\tmax_us\tserver_us\tload_us";
static const char open_loop[] = /* follows then */
    "\tasked\tdue\tlate_p50_us\tlate_p99_us\tlate_max_us\tat_once\theld\tunstarted";

/* The text of a column. Good until the next call. */
static const char *column(const char *name)
{
    static char names[1024], texts[1024];
    char *behind_names = names, *behind_texts = texts, *result = NULL;
    const char *further = output.out + strlen(header);

    if (strncmp(output.out, header, strlen(header)) != 0 ||
        (*further != '\n' && strncmp(further, open_loop, strlen(open_loop)) != 0))
        fail_msg("not the table's header: %s%s", output.out, output.err);
    assert_int_equal(sscanf(output.out, "%1023[^\n]\n%1023[^\n]", names, texts), 2);
    assert_string_equal(output.out + strlen(names) + 1 + strlen(texts), "\n"); /* two lines */

    while (behind_names) {
        assert_non_null(behind_texts);
        char *found = strsep(&behind_names, "\t"), *text = strsep(&behind_texts, "\t");
        if (strcmp(found, name) == 0)
            result = text;
    }
    assert_null(behind_texts);
    assert_non_null(result);
    return result;
}

static double value(const char *name)
{
    char *end;
    const char *text = column(name);
    double number = strtod(text, &end);

    if (end == text || *end != '\0')
        fail_msg("%s is \"%s\"", name, text);
    return number;
}

static long count(const char *name)
{
    return (long)value(name);
}

/* So many connections, and what has become of them; the exit status tells whether any was lost. */
struct outcomes {
    long ok, refused, reset, cut_short, corrupt, timed_out;
};

static void expect_outcomes(struct outcomes expected)
{
    long lost = expected.refused + expected.reset + expected.cut_short + expected.corrupt +
                expected.timed_out;

    assert_string_equal(output.err, "");
    assert_int_equal(count("ok"), expected.ok);
    assert_int_equal(count("refused"), expected.refused);
    assert_int_equal(count("reset"), expected.reset);
    assert_int_equal(count("cut_short"), expected.cut_short);
    assert_int_equal(count("corrupt"), expected.corrupt);
    assert_int_equal(count("timed_out"), expected.timed_out);
    assert_int_equal(count("unfinished"), 0);
    assert_int_equal(count("connections"), expected.ok + lost);
    assert_int_equal(output.status, lost > 0 ? 1 : 0);
}

/* ---- outcomes ---- */

static void a_good_server_loses_nothing(void **state)
{
    (void)state;
    start(serve_well);
    load("-T", "-n", "50", NULL);
    expect_outcomes((struct outcomes){.ok = 50});
    assert_int_equal(seen->connections, 50);
    assert_int_equal(count("clients"), 8);
    assert_int_equal(count("bytes"), 64);
    assert_int_equal(count("messages"), 1);
}

static void a_port_where_nobody_listens_is_tried_once_by_each_client(void **state)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    (void)state;
    /* Bound, so that nobody else takes the port, but not listening. */
    int bound = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(bound, (struct sockaddr *)&any, sizeof(any)), 0);
    learn_port(bound);
    load("-T", "-n", "20", "-c", "3", NULL);
    close(bound);
    assert_non_null(strstr(output.err, "load: nobody listens on 127.0.0.1 port "));
    output.err[0] = '\0';
    expect_outcomes((struct outcomes){.refused = 3});
}

static void a_reset_is_counted(void **state)
{
    (void)state;
    start(reset_at_once);
    load("-T", "-n", "20", NULL);
    expect_outcomes((struct outcomes){.reset = 20});
}

static void a_reset_behind_the_first_bytes_is_counted(void **state)
{
    (void)state;
    start(reset_after_half);
    load("-T", "-n", "8", NULL);
    expect_outcomes((struct outcomes){.reset = 8});
}

static void an_end_of_file_instead_of_an_answer_is_cut_short(void **state)
{
    (void)state;
    start(close_without_answer);
    load("-T", "-n", "20", NULL);
    expect_outcomes((struct outcomes){.cut_short = 20});
}

static void an_end_of_file_together_with_half_the_answer_is_cut_short(void **state)
{
    (void)state;
    start(close_with_half);
    load("-T", "-n", "8", NULL);
    expect_outcomes((struct outcomes){.cut_short = 8});
}

static void the_end_after_the_first_of_two_messages_is_cut_short(void **state)
{
    (void)state;
    start(serve_one_message);
    load("-T", "-n", "1", "-m", "2", NULL);
    /* A message that meets the closed socket is answered by a reset. */
    assert_int_equal(count("cut_short") + count("reset"), 1);
    assert_int_equal(output.status, 1);
}

static void a_wrong_byte_is_corrupt(void **state)
{
    (void)state;
    start(corrupt_the_first_byte);
    load("-T", "-n", "10", NULL);
    expect_outcomes((struct outcomes){.corrupt = 10});
}

static void a_wrong_byte_at_the_end_is_corrupt(void **state)
{
    (void)state;
    start(corrupt_the_last_byte);
    load("-T", "-n", "10", NULL);
    expect_outcomes((struct outcomes){.corrupt = 10});
}

static void more_bytes_than_were_sent_are_corrupt(void **state)
{
    (void)state;
    start(send_one_byte_more);
    load("-T", "-n", "2000", NULL); /* among so many the next random byte is the one more */
    expect_outcomes((struct outcomes){.corrupt = 2000});
}

static void silence_times_out(void **state)
{
    (void)state;
    start(be_silent);
    load("-T", "-n", "4", "-c", "4", "-t", "1", NULL);
    expect_outcomes((struct outcomes){.timed_out = 4});
    assert_true(value("seconds") >= 1);
    assert_true(value("p50_us") >= 1e6);
}

/* Who waited longest is not missing in the percentiles. */
static void what_times_out_counts_among_the_latencies(void **state)
{
    (void)state;
    start(serve_every_second);
    load("-T", "-c", "1", "-n", "4", "-t", "1", NULL);
    expect_outcomes((struct outcomes){.ok = 2, .timed_out = 2});
    assert_true(value("p50_us") < 1e6);
    assert_true(value("p90_us") >= 1e6);
    assert_true(value("max_us") >= 1e6);
    load("-c", "1", "-n", "2", "-t", "1", NULL);
    assert_non_null(strstr(output.out, "\n  latency in µs: p50 "));
    assert_non_null(
        strstr(output.out, "\n  1 of these timed out, and count with the 1 s of -t or more\n"));
    assert_int_equal(output.status, 1);
}

static void of_what_was_lost_otherwise_no_latency_is_kept(void **state)
{
    (void)state;
    start(reset_at_once);
    load("-T", "-n", "4", NULL);
    assert_int_equal(count("max_us"), 0);
}

static void each_kind_is_counted_by_itself(void **state)
{
    (void)state;
    start(do_each_in_turn);
    load("-T", "-c", "1", "-n", "6", "-t", "5", NULL);
    expect_outcomes(
        (struct outcomes){.ok = 2, .reset = 1, .cut_short = 1, .corrupt = 1, .timed_out = 1});
}

/* ---- load itself fails ---- */

/* Runs load with one client, so many connections and two further arguments; from the hundredth on
 * it can open nothing. Its leak check cannot work then, nor can it write down its coverage. */
static void load_without_descriptors(const char *connections, const char *first, const char *second)
{
    start(serve_and_limit_load);
    setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
    load("-d", "3600", "-c", "1", "-n", connections, first, second, NULL);
    unsetenv("ASAN_OPTIONS");
    char *profiling = strstr(output.err, "profiling:");
    if (profiling)
        *profiling = '\0';
    assert_int_equal(output.status, 1);
}

/* A socket is used for a thousand connections. */
static void what_was_measured_until_load_failed_is_reported(void **state)
{
    (void)state;
    load_without_descriptors("100000000", "-T", NULL);
    assert_string_equal(output.err, "load: socket: Too many open files\n");
    assert_true(count("ok") >= 100);
    assert_int_equal(count("connections"), count("ok"));
    assert_int_equal(count("unfinished"), 1);
    assert_true(value("p50_us") > 0);
}

static void the_report_says_that_load_failed(void **state)
{
    (void)state;
    load_without_descriptors("100000000", NULL, NULL);
    assert_string_equal(output.err, "load: socket: Too many open files\n");
    assert_non_null(strstr(output.out, "\n  stopped early: 1 more could not be made\n"));
    assert_non_null(strstr(output.out, "\n  latency in µs: p50 "));
}

/* Who can open nothing cannot look into /proc. */
static void without_the_server_s_cpu_time_the_rest_is_reported(void **state)
{
    char option[16], expected[128];

    (void)state;
    snprintf(option, sizeof(option), "-P%d", (int)getpid());
    load_without_descriptors("100", "-T", option);
    snprintf(expected, sizeof(expected), "load: CPU time of process %s: Too many open files\n",
             option + 2);
    assert_string_equal(output.err, expected);
    assert_int_equal(count("ok"), 100);
    assert_string_equal(column("server_us"), "-");
}

/* ---- reports ---- */

static void the_report_says_the_same_in_words(void **state)
{
    char expected[256];

    (void)state;
    start(do_each_in_turn);
    load("-c", "1", "-n", "2", NULL);
    snprintf(expected, sizeof(expected),
             "2 connections to 127.0.0.1 port %s: 1 client, 1 message of 64 bytes each\n"
             "  1 ok, 0 refused, 1 reset, 0 cut short, 0 corrupt, 0 timed out\n"
             "  latency in µs: p50 ",
             port);
    assert_int_equal(strncmp(output.out, expected, strlen(expected)), 0);
    assert_string_equal(output.err, "");
    assert_int_equal(output.status, 1);
}

static void a_report_is_in_lines_that_fit(void **state)
{
    (void)state;
    start(serve_well);
    setenv("COLUMNS", "40", 1);
    load("-r", "1000", "-n", "10", NULL);
    setenv("COLUMNS", "120", 1);
    for (char *line = strtok(output.out, "\n"); line; line = strtok(NULL, "\n"))
        assert_true(strlen(line) <= 40 + 1); /* µ is two bytes */
    assert_int_equal(output.status, 0);
}

static void no_line_of_a_report_ends_between_a_name_and_its_number(void **state)
{
    static const char *const names[] = {"p50", "p90", "p99", "p99.9", "max", "server", "port"};
    static const char *const what[] = {"ok", "refused", "reset", "corrupt", "client", "s", "%"};
    char columns[16], pid[32];

    (void)state;
    start(serve_well);
    snprintf(pid, sizeof(pid), "-P%d", (int)server);
    for (int width = 24; width <= 64; width++) {
        snprintf(columns, sizeof(columns), "%d", width);
        setenv("COLUMNS", columns, 1);
        load("-c", "1", "-n", "4", pid, NULL);
        for (char *line = strtok(output.out, "\n"); line; line = strtok(NULL, "\n")) {
            const char *last = strrchr(line, ' ');
            const char *first = line + strspn(line, " ");
            for (size_t i = 0; last && i < sizeof(names) / sizeof(*names); i++)
                assert_string_not_equal(last + 1, names[i]);
            for (size_t i = 0; i < sizeof(what) / sizeof(*what); i++)
                assert_true(strcspn(first, " ,;") != strlen(what[i]) ||
                            strncmp(first, what[i], strlen(what[i])) != 0);
        }
    }
    setenv("COLUMNS", "120", 1);
}

static void clients_may_wait_between_connections(void **state)
{
    (void)state;
    start(serve_well);
    load("-c", "2", "-w", "2.5", "-n", "10", NULL);
    assert_non_null(strstr(output.out, ": 2 clients waiting 2.5 ms in between, 1 message of "));
    assert_int_equal(output.status, 0);
    assert_int_equal(seen->connections, 10);
    load("-T", "-c", "2", "-w", "50", "-n", "10", NULL);
    expect_outcomes((struct outcomes){.ok = 10});
    assert_true(value("seconds") >= 4 * 0.05); /* four pauses of each client */
}

static void percentiles_rise(void **state)
{
    (void)state;
    start(serve_well);
    load("-T", "-n", "50", NULL);
    assert_true(value("p50_us") > 0);
    assert_true(value("p50_us") <= value("p90_us"));
    assert_true(value("p90_us") <= value("p99_us"));
    assert_true(value("p99_us") <= value("p99.9_us"));
    assert_true(value("p99.9_us") <= value("max_us"));
    assert_true(value("rate") > 0);
    assert_true(value("load_us") > 0);
    assert_string_equal(column("server_us"), "-");
}

static void the_server_s_cpu_time_is_measured_on_request(void **state)
{
    char self[16];

    (void)state;
    start(serve_well);
    snprintf(self, sizeof(self), "%d", (int)getpid()); /* the server is its child */
    load("-T", "-n", "50", "-P", self, NULL);
    expect_outcomes((struct outcomes){.ok = 50});
    assert_true(value("server_us") >= 0);
    load("-n", "5", "-P", self, NULL);
    assert_non_null(strstr(output.out, ", server "));
}

static void a_server_process_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    start(serve_well);
    load("-P", "2147483647", NULL);
    assert_int_equal(output.status, 1);
    assert_string_equal(output.out, "");
    assert_non_null(strstr(output.err, "CPU time of process 2147483647: No such process"));
    assert_int_equal(seen->connections, 0);
}

/* Runs load with so many connections, and reads the file of latencies. Returns how many there are.
 */
static long latencies(const char *connections)
{
    char path[] = "/tmp/load-XXXXXX", line[64];
    long lines = 0;
    double last = 0;

    int fd = mkstemp(path);
    assert_true(fd != -1);
    load("-T", "-c", "1", "-n", connections, "-l", path, NULL);
    unlink(path);
    FILE *file = fdopen(fd, "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        double us = strtod(line, NULL);
        assert_true(us > 0);
        assert_true(us >= last); /* they are sorted */
        last = us;
        lines++;
    }
    fclose(file);
    return lines;
}

static void the_file_of_latencies_has_a_line_for_each_connection(void **state)
{
    (void)state;
    start(serve_well);
    assert_int_equal(latencies("50"), 50);
    expect_outcomes((struct outcomes){.ok = 50});
}

static void the_file_of_latencies_has_no_line_for_what_was_lost(void **state)
{
    (void)state;
    start(do_each_in_turn);
    assert_int_equal(latencies("5"), 2);
    expect_outcomes((struct outcomes){.ok = 2, .reset = 1, .cut_short = 1, .corrupt = 1});
}

static void a_file_that_cannot_be_written_is_an_error(void **state)
{
    (void)state;
    start(serve_well);
    load("-n", "1", "-l", "/nonexistent/file", NULL);
    assert_int_equal(output.status, 1);
    assert_non_null(strstr(output.err, "/nonexistent/file: No such file or directory"));
    assert_non_null(strstr(output.out, "  1 ok, ")); /* what was measured is not lost */
    load("-n", "1", "-l", "/dev/full", NULL);
    assert_int_equal(output.status, 1);
    assert_non_null(strstr(output.err, "/dev/full: No space left on device"));
}

/* ---- amounts ---- */

static void exactly_as_many_connections_are_made_as_asked_for(void **state)
{
    (void)state;
    start(serve_well);
    load("-T", "-n", "1", "-c", "8", NULL);
    expect_outcomes((struct outcomes){.ok = 1});
    assert_int_equal(seen->connections, 1);
    load("-T", "-n", "3", "-c", "8", NULL);
    expect_outcomes((struct outcomes){.ok = 3});
    load("-T", "-n", "9", "-c", "8", NULL);
    expect_outcomes((struct outcomes){.ok = 9});
    assert_int_equal(seen->connections, 1 + 3 + 9);
}

static void after_the_last_second_no_connection_starts(void **state)
{
    (void)state;
    start(serve_well);
    load("-T", "-n", "100000000", "-d", "1", NULL);
    long ok = count("ok");
    assert_true(ok > 0 && ok < 100000000);
    expect_outcomes((struct outcomes){.ok = ok}); /* those that had started were finished */
    assert_int_equal(seen->connections, ok);
    assert_true(value("seconds") >= 1);
}

static void messages_and_bytes_are_as_asked_for(void **state)
{
    const struct {
        const char *bytes, *messages;
        long all;
    } amounts[] = {{"1", "1", 1}, {"1", "5", 5}, {"1000", "3", 3000}, {"3000000", "2", 6000000}};

    (void)state;
    start(serve_and_count);
    for (size_t i = 0; i < sizeof(amounts) / sizeof(*amounts); i++) {
        seen->bytes = 0;
        load("-T", "-n", "4", "-c", "2", "-b", amounts[i].bytes, "-m", amounts[i].messages, NULL);
        expect_outcomes((struct outcomes){.ok = 4});
        assert_string_equal(column("bytes"), amounts[i].bytes);
        assert_string_equal(column("messages"), amounts[i].messages);
        assert_int_equal(seen->bytes, 4 * amounts[i].all);
    }
}

/* Sends one message from this seed, and keeps it. */
static void send_seeded(const char *seed, char message[BYTES])
{
    memset(seen->first, 0, BYTES);
    load("-T", "-c", "1", "-n", "1", "-s", seed, NULL);
    expect_outcomes((struct outcomes){.ok = 1});
    memcpy(message, seen->first, BYTES);
}

static void the_same_seed_sends_the_same_bytes(void **state)
{
    char one[BYTES], same[BYTES], other[BYTES];

    (void)state;
    start(serve_one_message);
    send_seeded("7", one);
    send_seeded("7", same);
    send_seeded("8", other);
    assert_memory_equal(one, same, BYTES);
    assert_memory_not_equal(one, other, BYTES);
}

static void on_request_messages_are_lines(void **state)
{
    const char *const lengths[] = {"1", "2", "64", "300000"};

    (void)state;
    start(serve_lines);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        seen->bytes = 0;
        load("-T", "-L", "-n", "20", "-m", "5", "-b", lengths[i], NULL);
        expect_outcomes((struct outcomes){.ok = 20});
        assert_int_equal(seen->bytes, 100);
    }
}

static void an_ipv6_server_can_be_measured(void **state)
{
    (void)state;
    if (!has_ipv6())
        return;
    strcpy(address, "::1");
    start(serve_well);
    load("-T", "-n", "10", NULL);
    expect_outcomes((struct outcomes){.ok = 10});
}

/* Runs load in a shell that has set limits of descriptors. */
static void load_limited(const char *limits, const char *clients)
{
    char command[2048];

    snprintf(command, sizeof(command), "%s; exec '%s' -T -p %s -t 60 -c %s -n %s", limits,
             built("common/load/load"), port, clients, clients);
    output_free(&output);
    output = run("/bin/sh", "-c", command, NULL);
}

static void more_clients_than_the_soft_limit_are_possible(void **state)
{
    (void)state;
    start(serve_well);
    load_limited("ulimit -S -n 24", "40");
    expect_outcomes((struct outcomes){.ok = 40});
}

static void more_clients_than_the_hard_limit_are_an_error(void **state)
{
    (void)state;
    start(serve_well);
    load_limited("ulimit -n 24", "40");
    assert_int_equal(output.status, 1);
    assert_non_null(strstr(output.err, "40 clients: this process may open only 24 descriptors"));
    assert_int_equal(seen->connections, 0);
}

/* ---- open loop ---- */

static void an_open_loop_loses_nothing(void **state)
{
    (void)state;
    start(serve_well);
    load("-T", "-r", "2000.5", "-n", "50", NULL);
    expect_outcomes((struct outcomes){.ok = 50});
    assert_int_equal(seen->connections, 50);
    assert_string_equal(column("asked"), "2000.5");
    assert_int_equal(count("held"), 0);
    assert_int_equal(count("unstarted"), 0);
    assert_true(count("at_once") >= 1 && count("at_once") <= 50);
    assert_true(value("rate") <= value("due"));
    assert_true(value("late_p50_us") >= 0);
    assert_true(value("late_p50_us") <= value("late_p99_us"));
    assert_true(value("late_p99_us") <= value("late_max_us"));
    assert_true(value("late_max_us") <= value("max_us"));
}

static void even_distances_make_the_rate_exact(void **state)
{
    (void)state;
    start(serve_well);
    load("-T", "--rate", "2000", "--fixed", "-n", "50", NULL);
    expect_outcomes((struct outcomes){.ok = 50});
    assert_string_equal(column("due"), "2000.0");
    load("-T", "--rate=400", "-f", "-n", "10", NULL);
    assert_string_equal(column("due"), "400.0");
}

static void the_rate_counts_the_time_until_the_deadline(void **state)
{
    (void)state;
    start(serve_well);
    load("-T", "-r", "100", "-f", "-d", "1", NULL);
    expect_outcomes((struct outcomes){.ok = 100 - count("unstarted")});
    assert_string_equal(column("due"), "100.0"); /* whether all of them could start or not */
}

/* Answers nobody until twenty are waiting. */
static void serve_when_there_are_twenty(int connection)
{
    static int waiting[20];

    waiting[(seen->connections - 1) % 20] = connection;
    if (seen->connections % 20 == 0)
        for (int i = 0; i < 20; i++)
            serve_well(waiting[i]);
}

static void an_open_loop_does_not_wait_for_answers(void **state)
{
    (void)state;
    start(serve_when_there_are_twenty);
    load("-T", "-r", "10000", "-n", "40", NULL);
    expect_outcomes((struct outcomes){.ok = 40});
    assert_true(count("at_once") >= 20);
}

static void a_closed_loop_does(void **state)
{
    (void)state;
    start(serve_when_there_are_twenty);
    load("-T", "-c", "19", "-n", "40", "-t", "1", NULL);
    assert_true(count("timed_out") >= 19);
}

/* A million a second are due, and one may be under way. */
static void an_open_loop_that_meets_its_bound_says_so(void **state)
{
    (void)state;
    start(serve_well);
    load("-T", "-r", "1000000", "-f", "-n", "200", "-c", "1", NULL);
    expect_outcomes((struct outcomes){.ok = 200});
    assert_int_equal(count("at_once"), 1);
    assert_true(count("held") > 0 && count("held") < 200);
    load("-r", "1000000", "-f", "-n", "200", "-c", "1", NULL);
    assert_non_null(strstr(output.out, "\n  not an open loop all the time: 1"));
    assert_non_null(strstr(output.out, " had to wait until fewer than 1 were open\n"));
}

static void what_was_due_and_never_started_is_told(void **state)
{
    (void)state;
    start(serve_well);
    load("-T", "-r", "1000000", "-f", "-n", "100000000", "-d", "1", "-c", "1", NULL);
    long ok = count("ok");
    expect_outcomes((struct outcomes){.ok = ok});
    assert_int_equal(ok + count("unstarted"), 1000000);
    load("-r", "1000000", "-f", "-n", "100000000", "-d", "1", "-c", "1", NULL);
    assert_non_null(strstr(output.out, " more were due, and not started in time\n"));
}

static void the_report_of_an_open_loop_says_the_same_in_words(void **state)
{
    char expected[256];

    (void)state;
    start(do_each_in_turn);
    load("-r", "0.5", "-n", "1", NULL);
    snprintf(expected, sizeof(expected),
             "1 connection to 127.0.0.1 port %s: open loop, 0.5/s, 1 message of 64 bytes each\n"
             "  1 ok, 0 refused, 0 reset, 0 cut short, 0 corrupt, 0 timed out\n"
             "  latency in µs: p50 ",
             port);
    assert_int_equal(strncmp(output.out, expected, strlen(expected)), 0);
    assert_non_null(strstr(output.out, " of 0.5 asked for, in "));
    assert_non_null(
        strstr(output.out, "; at most 1 at once\n  started behind schedule by, in µs: p50 "));
    assert_non_null(strstr(output.out, "\n  CPU in µs a connection: load "));
    assert_non_null(strstr(output.out, "; load was busy for "));
    assert_null(strstr(output.out, "not an open loop"));
    assert_null(strstr(output.out, "not started"));
    assert_string_equal(output.err, "");
    assert_int_equal(output.status, 0);
}

static void an_open_loop_without_a_single_connection_says_so(void **state)
{
    (void)state;
    start(serve_well);
    load("-T", "-r", "0.001", "-f", "-n", "2", "-d", "1", NULL); /* the second is due in 1000 s */
    expect_outcomes((struct outcomes){.ok = 1});
    /* With this seed the first is due after 1 second. */
    load("-T", "-r", "0.001", "-s", "1", "-d", "1", NULL);
    expect_outcomes((struct outcomes){.ok = 0});
    assert_int_equal(seen->connections, 1);
    assert_int_equal(value("load_us"), 0);
    load("-r", "0.001", "-s", "1", "-d", "1", NULL);
    assert_non_null(strstr(output.out, "0 connections to "));
}

static void an_open_loop_where_nobody_listens_ends_with_the_first(void **state)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    (void)state;
    int bound = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(bound, (struct sockaddr *)&any, sizeof(any)), 0);
    learn_port(bound);
    load("-T", "-r", "10", "-n", "1000", NULL);
    close(bound);
    assert_non_null(strstr(output.err, "load: nobody listens on 127.0.0.1 port "));
    output.err[0] = '\0';
    expect_outcomes((struct outcomes){.refused = 1});
}

static void each_kind_is_counted_in_an_open_loop_too(void **state)
{
    (void)state;
    start(do_each_in_turn);
    load("-T", "-r", "10000", "-n", "6", "-t", "5", NULL);
    expect_outcomes(
        (struct outcomes){.ok = 2, .reset = 1, .cut_short = 1, .corrupt = 1, .timed_out = 1});
}

static void long_messages_pass_in_an_open_loop_too(void **state)
{
    (void)state;
    start(serve_and_count);
    load("-T", "-r", "1000", "-n", "5", "-b", "3000000", "-m", "2", NULL);
    expect_outcomes((struct outcomes){.ok = 5});
    assert_int_equal(seen->bytes, 5 * 6000000);
}

static void the_default_bound_of_an_open_loop_gives_way_to_the_hard_limit(void **state)
{
    char command[2048];

    (void)state;
    start(serve_well);
    snprintf(command, sizeof(command), "ulimit -n 100; exec '%s' -T -r 10000 -p %s -t 60 -n 300",
             built("common/load/load"), port);
    output = run("/bin/sh", "-c", command, NULL);
    expect_outcomes((struct outcomes){.ok = 300});
    assert_int_equal(count("clients"), 100 - 16 - 64);
    output_free(&output);
    strcat(command, " -c 200");
    output = run("/bin/sh", "-c", command, NULL);
    assert_int_equal(output.status, 1);
    assert_string_equal(
        output.err, "load: 200 connections at once: this process may open only 100 descriptors\n");
}

/* ---- arguments ---- */

static void help_is_printed_on_stdout(void **state)
{
    (void)state;
    output = run(built("common/load/load"), "-h", NULL);
    assert_int_equal(output.status, 0);
    assert_int_equal(strncmp(output.out, "usage: load ", 12), 0);
    for (const char *option = "aprfcwndbmtsPlLTh"; *option; option++) {
        char line[] = {'\n', ' ', ' ', '-', *option, '\0'};
        assert_non_null(strstr(output.out, line));
    }
    assert_non_null(strstr(output.out, "\n  -r, --rate RATE "));
    assert_non_null(strstr(output.out, "\n  -f, --fixed "));
    assert_string_equal(output.err, "");
}

static void a_wrong_argument_is_answered_with_the_usage(void **state)
{
    const struct {
        const char *option, *argument, *reason;
    } wrong[] = {
        {"-p", "0", "-p 0: not a number from 1 to 65535"},
        {"-p", "65536", "-p 65536: not a number from 1 to 65535"},
        {"-p", "http", "-p http: not a number"},
        {"-c", "0", "-c 0: not a number from 1 to 100000"},
        {"-c", "100001", "-c 100001: not a number"},
        {"-n", "0", "-n 0: not a number from 1 to 100000000"},
        {"-n", "100000001", "-n 100000001: not a number"},
        {"-d", "0", "-d 0: not a number from 1 to 3600"},
        {"-d", "1.5", "-d 1.5: not a number"},
        {"-d", "3601", "-d 3601: not a number"},
        {"-b", "0", "-b 0: not a number from 1 to 1073741824"},
        {"-b", "1073741825", "-b 1073741825: not a number"},
        {"-m", "0", "-m 0: not a number from 1 to 1000000"},
        {"-m", "1000001", "-m 1000001: not a number"},
        {"-t", "0", "-t 0: not a number from 1 to 3600"},
        {"-t", "3601", "-t 3601: not a number"},
        {"-s", "-1", "-s -1: not a number from 0 to"},
        {"-s", "9223372036854775808", "-s 9223372036854775808: not a number"},
        {"-P", "0", "-P 0: not a number from 1 to"},
        {"-P", "2147483648", "-P 2147483648: not a number"},
        {"-r", "0", "-r 0: not a number of connections a second from 0.001 to 1000000"},
        {"-r", "0.0009", "-r 0.0009: not a number of connections"},
        {"-r", "1000000.5", "-r 1000000.5: not a number of connections"},
        {"-r", "-5", "-r -5: not a number of connections"},
        {"-r", "", "-r : not a number of connections"},
        {"-r", ".", "-r .: not a number of connections"},
        {"-r", "1.2.3", "-r 1.2.3: not a number of connections"},
        {"-r", "1e3", "-r 1e3: not a number of connections"},
        {"-r", "0x10", "-r 0x10: not a number of connections"},
        {"-r", "inf", "-r inf: not a number of connections"},
        {"-r", "nan", "-r nan: not a number of connections"},
        {"-r", " 5", "-r  5: not a number of connections"},
        {"--rate", "fast", "-r fast: not a number of connections"},
        {"--rate", NULL, "requires an argument"},
        {"--fixed", NULL, "-f: only with -r, which it spaces evenly"},
        {"-w", "-1", "-w -1: not a number of milliseconds from 0 to 60000"},
        {"-w", "60000.1", "-w 60000.1: not a number of milliseconds"},
        {"-w5", "-r5", "-w: not with -r, which says itself when connections start"},
        {"--slow", NULL, "unrecognized option"},
        {"-a", NULL, "requires an argument"},
        {"-l", NULL, "requires an argument"},
        {"-x", NULL, "invalid option"},
        {"more", NULL, "more: one argument too many"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        output = run(built("common/load/load"), wrong[i].option, wrong[i].argument, NULL);
        assert_int_equal(output.status, 2);
        assert_string_equal(output.out, "");
        assert_non_null(strstr(output.err, wrong[i].reason));
        assert_non_null(strstr(output.err, "usage: load "));
        output_free(&output);
    }
}

static void a_full_disk_is_an_error(void **state)
{
    (void)state;
    start(serve_well);
    output = run(built("common/load/load"), "-p", port, "-n", "5", "-l", "/dev/full", NULL);
    assert_int_equal(output.status, 1);
    assert_string_equal(output.err, "load: /dev/full: No space left on device\n");
}

static void an_address_that_is_none_is_a_usage_error(void **state)
{
    const char *const wrong[] = {"localhost", "256.0.0.1", ""};

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        output = run(built("common/load/load"), "-a", wrong[i], NULL);
        assert_int_equal(output.status, 2);
        assert_string_equal(output.out, "");
        assert_non_null(strstr(output.err, "not an IP address"));
        output_free(&output);
    }
}

/* Runs load with a terminal as its stderr; gives what it writes there. */
static void load_on_a_terminal(int terminal, const char *option, char *written, size_t size)
{
    const struct winsize narrow = {.ws_row = 24, .ws_col = NARROW};
    int status;
    size_t length = 0;
    ssize_t n;

    assert_true(grantpt(terminal) == 0 && unlockpt(terminal) == 0);
    assert_int_equal(ioctl(terminal, TIOCSWINSZ, &narrow), 0);
    pid_t child = fork_child();
    assert_true(child != -1);
    if (child == 0) {
        int other_side = open(ptsname(terminal), O_RDWR | O_NOCTTY);
        unsetenv("COLUMNS");
        if (dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO) == -1 ||
            dup2(other_side, STDERR_FILENO) == -1)
            _exit(126);
        execl(built("common/load/load"), "load", "-p", port, "-n", "50", option, NULL);
        _exit(127);
    }
    /* When the child has closed its side, reading fails with EIO. */
    while (length < size - 1 && (n = read(terminal, written + length, size - 1 - length)) > 0)
        length += (size_t)n;
    written[length] = '\0';
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(terminal);
}

static void progress_is_shown_on_a_terminal_and_taken_away_at_the_end(void **state)
{
    static char written[65536];

    (void)state;
    for (int with_table = 0; with_table < 2; with_table++) {
        int terminal = posix_openpt(O_RDWR | O_NOCTTY);
        if (terminal == -1) {
            print_message("# this machine has no pseudo-terminals: is /dev/pts mounted?\n");
            return;
        }
        if (!with_table)
            start(serve_well);
        load_on_a_terminal(terminal, with_table ? "-T" : NULL, written, sizeof(written));
        if (with_table) { /* for a program, which has a bar of its own */
            assert_string_equal(written, "");
        } else {
            assert_non_null(strstr(written, "connections, 0 lost"));
            assert_string_equal(written + strlen(written) - 4, "\r\033[K");
            /* Each time it is as wide as the terminal but for its last column. */
            for (char *bar = strtok(written, "\r"); bar && *bar != '\033';
                 bar = strtok(NULL, "\r")) {
                assert_int_equal(strlen(bar), NARROW - 1 + strlen("\033[K"));
                assert_string_equal(bar + NARROW - 1, "\033[K");
            }
        }
    }
}

static void no_standard_descriptor_is_taken_for_another(void **state)
{
    (void)state;
    start(serve_well);
    expect_sound_output("clients\tbytes\t", built("common/load/load"), "-p", port, "-n", "20", "-T",
                        NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_good_server_loses_nothing),
        TEST(a_port_where_nobody_listens_is_tried_once_by_each_client),
        TEST(a_reset_is_counted),
        TEST(a_reset_behind_the_first_bytes_is_counted),
        TEST(an_end_of_file_instead_of_an_answer_is_cut_short),
        TEST(an_end_of_file_together_with_half_the_answer_is_cut_short),
        TEST(the_end_after_the_first_of_two_messages_is_cut_short),
        TEST(a_wrong_byte_is_corrupt),
        TEST(a_wrong_byte_at_the_end_is_corrupt),
        TEST(more_bytes_than_were_sent_are_corrupt),
        TEST(silence_times_out),
        TEST(what_times_out_counts_among_the_latencies),
        TEST(of_what_was_lost_otherwise_no_latency_is_kept),
        TEST(each_kind_is_counted_by_itself),
        TEST(what_was_measured_until_load_failed_is_reported),
        TEST(the_report_says_that_load_failed),
        TEST(without_the_server_s_cpu_time_the_rest_is_reported),
        TEST(the_report_says_the_same_in_words),
        TEST(a_report_is_in_lines_that_fit),
        TEST(no_line_of_a_report_ends_between_a_name_and_its_number),
        TEST(clients_may_wait_between_connections),
        TEST(percentiles_rise),
        TEST(the_server_s_cpu_time_is_measured_on_request),
        TEST(a_server_process_that_is_not_there_is_an_error),
        TEST(the_file_of_latencies_has_a_line_for_each_connection),
        TEST(the_file_of_latencies_has_no_line_for_what_was_lost),
        TEST(a_file_that_cannot_be_written_is_an_error),
        TEST(exactly_as_many_connections_are_made_as_asked_for),
        TEST(after_the_last_second_no_connection_starts),
        TEST(messages_and_bytes_are_as_asked_for),
        TEST(the_same_seed_sends_the_same_bytes),
        TEST(on_request_messages_are_lines),
        TEST(an_ipv6_server_can_be_measured),
        TEST(more_clients_than_the_soft_limit_are_possible),
        TEST(more_clients_than_the_hard_limit_are_an_error),
        TEST(an_open_loop_loses_nothing),
        TEST(even_distances_make_the_rate_exact),
        TEST(the_rate_counts_the_time_until_the_deadline),
        TEST(an_open_loop_does_not_wait_for_answers),
        TEST(a_closed_loop_does),
        TEST(an_open_loop_that_meets_its_bound_says_so),
        TEST(what_was_due_and_never_started_is_told),
        TEST(the_report_of_an_open_loop_says_the_same_in_words),
        TEST(an_open_loop_without_a_single_connection_says_so),
        TEST(an_open_loop_where_nobody_listens_ends_with_the_first),
        TEST(each_kind_is_counted_in_an_open_loop_too),
        TEST(long_messages_pass_in_an_open_loop_too),
        TEST(the_default_bound_of_an_open_loop_gives_way_to_the_hard_limit),
        TEST(help_is_printed_on_stdout),
        TEST(a_wrong_argument_is_answered_with_the_usage),
        TEST(a_full_disk_is_an_error),
        TEST(an_address_that_is_none_is_a_usage_error),
        TEST(no_standard_descriptor_is_taken_for_another),
        TEST(progress_is_shown_on_a_terminal_and_taken_away_at_the_end),
    };

    setenv("COLUMNS", "120", 1); /* in which the lines of a report are whole */
    return run_chosen(tests);
}
