#include "support.h"

#include "arguments.h"
#include "cputime.h"
#include "procstat.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int64_t number_from(const char *name, const char *what, int64_t most, int64_t otherwise)
{
    const char *text = getenv(name);
    int64_t number;

    if (!text || !*text)
        return otherwise;
    if (!parse_number(text, 1, most, &number))
        errx(EXIT_USAGE, "%s=%s: say %s, such as %s=%" PRId64, name, text, what, name, otherwise);
    return number;
}

static int seconds_from(const char *name, int otherwise)
{
    return (int)number_from(name, "how many seconds", INT_MAX, otherwise);
}

/*
 * A test that hangs in spite of all is ended, and what it started dies with it. TEST_SECONDS says
 * when; TEST_ONLY is a pattern of names, such as "*reset*". What a failed test leaves behind, and
 * nobody ends any more, has the same bound: a process forked has no alarm but this, exec keeps it.
 */
static void set_alarm(void)
{
    alarm((unsigned)seconds_from("TEST_SECONDS", 300));
}

__attribute__((constructor)) static void bound_the_test(void)
{
    set_alarm();
    pthread_atfork(NULL, NULL, set_alarm);
    if (getenv("TEST_ONLY") && *getenv("TEST_ONLY"))
        cmocka_set_test_filter(getenv("TEST_ONLY"));
    signal(SIGPIPE, SIG_DFL); /* if it was ignored before, no test would see it */
}

#ifdef __GLIBC__ /* elsewhere stdout cannot be set */
/*
 * What prove shows of a failed test is its number and name. So the reason, which are the lines of
 * comment behind "not ok", goes to stderr.
 */
static ssize_t write_tap(void *failed, const char *text, size_t size)
{
    for (const char *line = text, *end = text + size; line < end;) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        size_t length = (size_t)((newline ? newline + 1 : end) - line);
        if (*line == '#' && *(bool *)failed) {
            dprintf(STDERR_FILENO, "#  %.*s", (int)length - 1, line + 1); /* as tap.py has them */
        } else {
            *(bool *)failed = length > 6 && memcmp(line, "not ok", 6) == 0;
            for (size_t done = 0; done < length;) {
                ssize_t written = write(STDOUT_FILENO, line + done, length - done);
                if (written == -1)
                    return 0; /* which fopencookie(3) takes for an error */
                done += (size_t)written;
            }
        }
        line += length;
    }
    return (ssize_t)size;
}

static void split_tap(void)
{
    static bool failed;
    FILE *tap = fopencookie(&failed, "w", (cookie_io_functions_t){.write = write_tap});

    if (!tap)
        err(EXIT_FAILURE, "fopencookie");
    setvbuf(tap, NULL, _IOLBF, 0);
    stdout = tap;
}
#endif

bool test_chosen(const struct CMUnitTest *tests, size_t count)
{
    const char *only = getenv("TEST_ONLY");

#ifdef __GLIBC__
    const char *format = getenv("CMOCKA_MESSAGE_OUTPUT");
    if (format && strcmp(format, "TAP") == 0)
        split_tap();
#endif
    for (size_t i = 0; i < count; i++)
        if (tests[i].name && (!only || !*only || fnmatch(only, tests[i].name, 0) == 0))
            return true;
    warnx("TEST_ONLY=%s: no test has such a name", only);
    return false;
}

int test_patience(void)
{
    return seconds_from("TEST_PATIENCE", 60);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

bool wait_until(bool (*condition)(void *), void *argument)
{
    double began = now();

    while (!condition(argument)) {
        double waited = now() - began;
        if (waited > PATIENCE)
            return false;
        /* 2 ms, and the longer it takes, the less often: what waits in vain keeps nobody busy. */
        long pause = waited < 1 ? 2000000 + (long)(waited * 48e6) : 50000000;
        nanosleep(&(struct timespec){.tv_nsec = pause}, NULL);
    }
    return true;
}

/* ---- paths ---- */

static const char *path_below(const char *root, const char *path)
{
    static char paths[8][2 * PATH_MAX];
    static unsigned next;
    char *result = paths[next++ % 8];

    snprintf(result, sizeof(paths[0]), "%s/%s", root, path);
    return result;
}

const char *built(const char *path)
{
    static char root[PATH_MAX];
    const char *elsewhere = getenv("TEST_PROGRAMS");

    if (elsewhere && *elsewhere)
        return path_below(elsewhere, path);
    if (root[0] == '\0') {
        ssize_t length = readlink("/proc/self/exe", root, sizeof(root) - 1);
        assert_true(length > 0);
        root[length] = '\0';
        char *tests = strstr(root, "/tests/");
        for (char *next; tests && (next = strstr(tests + 1, "/tests/"));) /* the last one */
            tests = next;
        assert_non_null(tests);
        *tests = '\0';
    }
    return path_below(root, path);
}

const char *source(const char *path)
{
    return path_below(SOURCE_ROOT, path);
}

/* ---- starting programs ---- */

static int status_of(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int scratch_file(void)
{
    int file = memfd_create("test", MFD_CLOEXEC);

    assert_true(file != -1);
    return file;
}

/* The tests know the words of glibc. What musl says in others is put into these. */
static char *in_words_of_glibc(char *text)
{
    static const struct {
        const char *musl, *glibc;
    } words[] = {
        {"Address in use", "Address already in use"},
        {"Address not available", "Cannot assign requested address"},
        {"No file descriptors available", "Too many open files"},
        {"unrecognized option: x\n", "invalid option -- 'x'\n"},
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        const char *found = strstr(text, words[i].musl);
        if (found) {
            char *said = text;
            assert_true(asprintf(&text, "%.*s%s%s", (int)(found - said), said, words[i].glibc,
                                 found + strlen(words[i].musl)) != -1);
            free(said);
        }
    }
    return text;
}

static char *contents(int file)
{
    off_t size = lseek(file, 0, SEEK_END);
    char *text = calloc(1, (size_t)size + 1);

    assert_non_null(text);
    assert_int_equal(pread(file, text, (size_t)size, 0), size);
    return in_words_of_glibc(text);
}

/* TEST_WRAPPER, a program with options, runs what was built: valgrind does. */
static void wrap(const char *wrapper, const char *const arguments[], const char *wrapped[],
                 int room)
{
    static char words[1024];
    int count = 0;

    if (wrapper && strncmp(arguments[0], built(""), strlen(built(""))) == 0) {
        snprintf(words, sizeof(words), "%s", wrapper);
        for (char *word = strtok(words, " "); word && count < room - 1; word = strtok(NULL, " "))
            wrapped[count++] = word;
    }
    for (int i = 0; arguments[i] && count < room - 1; i++)
        wrapped[count++] = arguments[i];
    wrapped[count] = NULL;
}

/* Starts a program, under a wrapper that may be NULL. */
static pid_t spawn(const char *wrapper, const char *const arguments[], int out, int err)
{
    const char *wrapped[64];

    wrap(wrapper, arguments, wrapped, 64);
    pid_t parent = getpid();
    pid_t child = fork();
    assert_true(child != -1);
    if (child == 0) {
        /* dup2 makes copies that are not close-on-exec. */
        int input = memfd_create("empty", 0);
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 || getppid() != parent ||
            dup2(input, STDIN_FILENO) == -1 || dup2(out, STDOUT_FILENO) == -1 ||
            dup2(err, STDERR_FILENO) == -1)
            _exit(126);
        close(input);
        execvp(wrapped[0], (char *const *)wrapped);
        _exit(127);
    }
    return child;
}

struct output run_with(const char *const arguments[])
{
    int out = scratch_file(), err = scratch_file(), status;
    pid_t child = spawn(getenv("TEST_WRAPPER"), arguments, out, err);

    assert_int_equal(waitpid(child, &status, 0), child);
    struct output output = {status_of(status), contents(out), contents(err)};
    close(out);
    close(err);
    return output;
}

struct output run(const char *program, ...)
{
    const char *arguments[32] = {program};
    va_list rest;

    va_start(rest, program);
    for (int i = 1; i < 31 && (arguments[i] = va_arg(rest, const char *)) != NULL; i++)
        continue;
    va_end(rest);
    return run_with(arguments);
}

void expect_error_at_limit(int limit, const char *why, const char *program, const char *argument)
{
    char command[128], start[64];
    const char *name = strrchr(program, '/') + 1;

    /* LeakSanitizer itself cannot look for leaks without a descriptor. */
    snprintf(command, sizeof(command),
             "ulimit -n %d; ASAN_OPTIONS=detect_leaks=0 exec \"$0\" \"$@\"", limit);
    snprintf(start, sizeof(start), "%s: ", name);
    struct output output = run("/bin/sh", "-c", command, program, argument, NULL);
    /* A program that counts its coverage complains behind its line: it cannot open its files. */
    char *profiling = strstr(output.err, "\nprofiling:");
    if (profiling)
        profiling[1] = '\0';
    if (output.status != 1 || strncmp(output.err, start, strlen(start)) != 0 ||
        !strstr(output.err, why) || strchr(output.err, '\n') != output.err + strlen(output.err) - 1)
        fail_msg("%s with %d descriptors: wanted status 1 and one line with \"%s\"; status %d, "
                 "err \"%s\"",
                 name, limit, why, output.status, output.err);
    output_free(&output);
}

static int lines_of(const char *text)
{
    int count = 0;

    for (; (text = strchr(text, '\n')) != NULL; text++)
        count++;
    return count;
}

void expect_sound_output(const char *first, const char *program, ...)
{
    const char *const redirections[] = {"", "<&-", ">&-", "2>&-", ">/dev/full"};
    const char *const ends[] = {" \"$@\"", " -h"};
    char command[64], full[128], path[2 * PATH_MAX];
    const char *arguments[32] = {"/bin/sh", "-c", NULL, path};
    int lines = 0;
    va_list rest;

    snprintf(path, sizeof(path), "%s", program); /* `built` and `wrap` use its memory again */
    va_start(rest, program);
    for (int i = 4; i < 31 && (arguments[i] = va_arg(rest, const char *)) != NULL; i++)
        continue;
    va_end(rest);
    snprintf(full, sizeof(full), "%s: stdout: No space left on device\n",
             strrchr(program, '/') + 1);

    for (int i = 0; i < 10; i++) {
        const char *redirection = redirections[i / 2];
        bool is_full = i / 2 == 4, shown = i / 2 != 2 && !is_full, help = i % 2 == 1;
        snprintf(command, sizeof(command), "exec \"$0\"%s %s", ends[i % 2], redirection);
        arguments[2] = command;
        struct output output = run_with(arguments);
        if (i == 0)
            lines = lines_of(output.out);
        bool as_usual = help || lines_of(output.out) == lines;
        const char *begin = help ? "usage: " : first;
        if (output.status != (is_full ? 1 : 0) || strcmp(output.err, is_full ? full : "") != 0 ||
            (shown ? strncmp(output.out, begin, strlen(begin)) != 0 || !as_usual : *output.out))
            fail_msg("%s, %s: status %d, out \"%s\", err \"%s\"", program, command, output.status,
                     output.out, output.err);
        output_free(&output);
    }
}

void output_free(struct output *output)
{
    free(output->out);
    free(output->err);
    *output = (struct output){0};
}

/* ---- servers ---- */

/* Reads the line that says that the server is ready; an empty one if it ends before. */
static void read_line(int from, char *line, size_t size)
{
    double end = now() + PATIENCE;
    size_t length = 0;

    while (length < size - 1) {
        struct pollfd readable = {.fd = from, .events = POLLIN};
        if (now() > end || poll(&readable, 1, 1000) == -1)
            break;
        if (readable.revents == 0)
            continue;
        if (read(from, line + length, 1) != 1 || line[length] == '\n')
            break;
        length++;
    }
    line[length] = '\0';
}

struct server server_spawn(const char *const arguments[])
{
    struct server server = {.errors = scratch_file()};
    int out = scratch_file();

    server.pid = spawn(getenv("TEST_WRAPPER"), arguments, out, server.errors);
    close(out);
    return server;
}

struct server server_start(const char *const arguments[])
{
    return server_start_to(arguments, scratch_file());
}

struct server server_start_to(const char *const arguments[], int errors)
{
    struct server server = {.errors = errors};
    char line[256], *colon = NULL;
    int out[2];

    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    server.pid = spawn(getenv("TEST_WRAPPER"), arguments, out[1], server.errors);
    close(out[1]);
    read_line(out[0], line, sizeof(line));
    close(out[0]);

    if (strncmp(line, "listening on ", 13) != 0 || !(colon = strrchr(line, ':'))) {
        char *said = server_errors(&server);
        print_error("%s said \"%s\", and on stderr: %s\n", arguments[0], line, said);
        free(said);
        kill(server.pid, SIGKILL);
        fail_msg("the server did not start");
    }
    *colon = '\0';
    server.port = atoi(colon + 1);
    const char *address = line + 13;
    if (*address == '[') {
        address++;
        colon[-1] = '\0';
    }
    snprintf(server.address, sizeof(server.address), "%.63s", address);
    return server;
}

int server_wait(struct server *server)
{
    double began = now();
    int status;

    assert_int_equal(waitpid(server->pid, &status, 0), server->pid);
    server->ended_in = now() - began;
    close(server->errors);
    server->pid = 0;
    return status_of(status);
}

int server_stop(struct server *server)
{
    assert_int_equal(kill(server->pid, SIGTERM), 0);
    return server_wait(server);
}

char *server_errors(const struct server *server)
{
    return contents(server->errors);
}

static struct addrinfo *address_of(const struct server *server)
{
    struct addrinfo *info;
    const struct addrinfo wanted = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    char port[16];

    snprintf(port, sizeof(port), "%d", server->port);
    assert_int_equal(getaddrinfo(server->address, port, &wanted, &info), 0);
    return info;
}

int try_connect(int socket, const struct server *server)
{
    struct addrinfo *info = address_of(server);
    int result = connect(socket, info->ai_addr, info->ai_addrlen);
    int error = errno;

    freeaddrinfo(info);
    errno = error;
    return result;
}

int connect_to(const struct server *server)
{
    struct timeval patience = {.tv_sec = PATIENCE};
    bool ipv6 = strchr(server->address, ':') != NULL;
    int connection = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(connection != -1);
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (try_connect(connection, server) == -1)
        fail_msg("connect: %s", strerror(errno));
    return connection;
}

void exchange(int connection, const void *bytes, size_t length)
{
    char *back = malloc(length);
    size_t sent = 0, received = 0;

    assert_non_null(back);
    while (received < length) {
        struct pollfd ready = {.fd = connection, .events = POLLIN};
        if (sent < length)
            ready.events |= POLLOUT;
        if (poll(&ready, 1, PATIENCE * 1000) != 1)
            fail_msg("%zu of %zu bytes came back, and then nothing", received, length);
        if (ready.revents & POLLOUT) {
            ssize_t n = send(connection, (const char *)bytes + sent, length - sent,
                             MSG_DONTWAIT | MSG_NOSIGNAL);
            if (n == -1 && errno != EAGAIN)
                fail_msg("send after %zu bytes: %s", sent, strerror(errno));
            sent += n > 0 ? (size_t)n : 0;
        }
        if (ready.revents & (POLLIN | POLLHUP | POLLERR)) {
            ssize_t n = recv(connection, back + received, length - received, MSG_DONTWAIT);
            if (n == 0)
                fail_msg("end-of-file after %zu of %zu bytes", received, length);
            if (n == -1 && errno != EAGAIN)
                fail_msg("recv after %zu of %zu bytes: %s", received, length, strerror(errno));
            received += n > 0 ? (size_t)n : 0;
        }
    }
    assert_memory_equal(bytes, back, length);
    free(back);
}

void expect_service(const struct server *server)
{
    int connection = connect_to(server);

    exchange(connection, "still\0there?", 12);
    close(connection);
}

void reset(int connection)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    setsockopt(connection, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(connection);
}

bool has_ipv6(void)
{
    struct sockaddr_in6 loopback = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool found = bind(probe, (struct sockaddr *)&loopback, sizeof(loopback)) == 0;

    close(probe);
    if (!found)
        print_message("# this machine has no IPv6\n");
    return found;
}

/* ---- load ---- */

struct load load_start(const struct server *server, int clients, int connections)
{
    struct load load = {.out = scratch_file()};
    char port[16], count[16], total[16];

    snprintf(port, sizeof(port), "%d", server->port);
    snprintf(count, sizeof(count), "%d", clients);
    snprintf(total, sizeof(total), "%d", connections);
    const char *arguments[] = {built("common/load/load"),
                               "-T",
                               "-p",
                               port,
                               "-c",
                               count,
                               "-n",
                               total,
                               "-d",
                               "3600",
                               "-t",
                               "600",
                               NULL};
    /* Here load is a tool, and runs bare; its own tests run it under the wrapper. */
    load.pid = spawn(NULL, arguments, load.out, STDERR_FILENO);
    return load;
}

struct load_result load_finish(struct load *load)
{
    struct load_result result = {0};
    int status;

    assert_int_equal(waitpid(load->pid, &status, 0), load->pid);
    char *table = contents(load->out), *row = strchr(table, '\n');
    if (!row || sscanf(row, " %*d %*d %*d %ld %ld", &result.connections, &result.ok) != 2)
        fail_msg("load ended with status %d and said \"%s\"", status_of(status), table);
    free(table);
    close(load->out);
    return result;
}

/* ---- processes ---- */

char process_state(pid_t pid)
{
    struct procstat stat;

    return procstat_read(pid, &stat) ? stat.state : 0;
}

static bool is_gone(void *process)
{
    char state = process_state(*(pid_t *)process);

    return state == 0 || state == 'Z' || state == 'X';
}

void expect_gone(const pid_t *processes, int count)
{
    for (int i = 0; i < count; i++)
        assert_true(wait_until(is_gone, &(pid_t){processes[i]}));
}

void expect_no_children_left(const struct server *server, const pid_t *children, int count)
{
    for (int i = 0; i < count; i++)
        if (server->ended_in < 1)
            assert_int_equal(process_state(children[i]), 0);
    expect_gone(children, count);
}

/* Calls `visit` for each name in a directory of numbers. Returns how many, or -1. */
static int each_number(const char *path, void (*visit)(int number, void *), void *argument)
{
    DIR *directory = opendir(path);
    int count = 0;

    if (!directory)
        return -1;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        if (visit)
            visit(atoi(entry->d_name), argument);
        count++;
    }
    closedir(directory);
    return count;
}

struct family {
    pid_t parent, *children;
    int room, count;
};

static void visit_process(int pid, void *argument)
{
    struct family *family = argument;
    struct procstat stat;

    if (procstat_read(pid, &stat) && stat.parent == family->parent) {
        if (family->count < family->room)
            family->children[family->count] = pid;
        family->count++;
    }
}

int children_of(pid_t parent, pid_t *children, int room)
{
    struct family family = {parent, children, room, 0};

    each_number("/proc", visit_process, &family);
    return family.count;
}

pid_t start_tracer(pid_t pid)
{
    int allowed[2];
    char byte;

    assert_int_equal(pipe2(allowed, O_CLOEXEC), 0);
    pid_t self = getpid(), tracer = fork();
    assert_true(tracer != -1);
    if (tracer == 0) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 || getppid() != self ||
            ptrace(PTRACE_SEIZE, pid, NULL, NULL) == -1 || write(allowed[1], "!", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(allowed[1]);
    bool traces = read(allowed[0], &byte, 1) == 1;
    close(allowed[0]);
    if (traces)
        return tracer;
    waitpid(tracer, NULL, 0);
    print_message("# skipped: this process may not trace others\n");
    return -1;
}

int64_t cpu_of(pid_t pid)
{
    int64_t ns;

    assert_int_equal(cputime_tree(pid, &ns), 0);
    return ns;
}

int descriptors_of(pid_t pid)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    return each_number(path, NULL, NULL);
}
