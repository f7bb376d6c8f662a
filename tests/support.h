/*
 * What the tests share: starting the real programs, talking to them, and looking at them in /proc.
 *
 * Nothing here depends on how fast the machine is. Waiting means waiting for something to become
 * true; after PATIENCE seconds the test fails. What a test has started dies with it.
 */
#ifndef SUPPORT_H
#define SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>

#include <cmocka.h>

/*
 * Runs an array of tests, of which TEST_ONLY may choose some, and gives what main returns. A
 * pattern that no name matches is an error. test_if(condition, test) in the array is a test, or
 * nothing: TAP of cmocka counts a test that skips itself as failed.
 */
#define test_if(condition, test)                                                                   \
    {                                                                                              \
        .name = (condition) ? #test : NULL, .test_func = (condition) ? test : NULL                 \
    }
#define run_chosen(tests)                                                                          \
    (test_chosen(tests, sizeof(tests) / sizeof(*(tests)))                                          \
         ? cmocka_run_group_tests(tests, NULL, NULL)                                               \
         : EXIT_FAILURE)
bool test_chosen(const struct CMUnitTest *tests, size_t count);

/*
 * A number from 1 up that a variable of the environment says, or `otherwise` where there is none.
 * Anything else ends the program, with a line that asks for `what`.
 */
int64_t number_from(const char *name, const char *what, int64_t most, int64_t otherwise);

/* Seconds: 60, or what TEST_PATIENCE says. */
#define PATIENCE test_patience()
int test_patience(void);

/*
 * The path of a file that make has built, such as "common/load/load". Good until the eighth call.
 * TEST_PROGRAMS may name the folder of another build, whose programs these tests are to test.
 */
const char *built(const char *path);

/* The path of a file of the source tree. Good until the eighth call, as above. */
const char *source(const char *path);

/* ---- programs that run to their end ---- */

struct output {
    int status; /* the exit status, or 128 + the signal that ended it */
    char *out, *err;
};

/* Runs a program (NULL ends the arguments) and waits for it. Its input is /dev/null. */
struct output run(const char *program, ...);
struct output run_with(const char *const arguments[]);
void output_free(struct output *output);

/*
 * Runs a program that may open no descriptor from `limit` up: it must end with status 1 and one
 * line on stderr that names the program and says `why`.
 */
void expect_error_at_limit(int limit, const char *why, const char *program, const char *argument);

/*
 * What every program does with its standard descriptors, NULL ending the arguments: whichever of 0,
 * 1 and 2 is closed, it runs well, and prints as many lines, of which the first is `first`; with
 * stdout on a full disk it ends with status 1, and one line that says so. So does its -h.
 */
void expect_sound_output(const char *first, const char *program, ...);

/* ---- servers ---- */

struct server {
    pid_t pid;
    char address[64];
    int port;
    int errors;      /* a file that takes what the server says on stderr */
    double ended_in; /* the seconds for which server_wait waited */
};

/*
 * Starts a server with these arguments (the first is the program), waits for its line
 * "listening on ...", and learns its address and port from it.
 */
struct server server_start(const char *const arguments[]);

/* The same, with the descriptor to which stderr goes, which is the server's from here on. */
struct server server_start_to(const char *const arguments[], int errors);

/* Starts a server and does not wait. */
struct server server_spawn(const char *const arguments[]);

/* Sends SIGTERM and waits. Returns the exit status, as in struct output. */
int server_stop(struct server *server);

/* Waits until the server ends, and returns its exit status. */
int server_wait(struct server *server);

/* What the server has said on stderr so far; the caller frees it. */
char *server_errors(const struct server *server);

/* A new, blocking connection to the server. Reading and writing fail after PATIENCE seconds. */
int connect_to(const struct server *server);

/* connect(2) to the server: returns -1 with errno when it fails. */
int try_connect(int socket, const struct server *server);

/* Sends `length` bytes; reads as many back while it does, so that it cannot block; they must be
 * equal. */
void exchange(int connection, const void *bytes, size_t length);

/* Connects, exchanges a short message, closes. */
void expect_service(const struct server *server);

/* Closes a connection so that the peer gets a reset (RST) instead of end-of-file. */
void reset(int connection);

/* Whether this machine has an address to listen on in IPv6; says so if it has none. */
bool has_ipv6(void);

/* ---- load ---- */

struct load {
    pid_t pid;
    int out;
};

struct load_result {
    long connections, ok;
};

/* Starts the load generator: so many clients, until so many connections are done. */
struct load load_start(const struct server *server, int clients, int connections);

/* Waits until the load is over. */
struct load_result load_finish(struct load *load);

/* ---- processes ---- */

/* Waits until `condition` holds. Returns false when it does not within PATIENCE seconds. */
bool wait_until(bool (*condition)(void *), void *argument);

/* The children of a process, zombies included. Returns how many there are; writes at most `room`.
 */
int children_of(pid_t parent, pid_t *children, int room);

/* The state of a process as in /proc/PID/stat (R, S, D, T, Z, ...), or 0 when there is none. */
char process_state(pid_t pid);

/*
 * Expects that these processes end, in PATIENCE seconds. A zombie has ended: who is to reap it is
 * another question.
 */
void expect_gone(const pid_t *processes, int count);

/*
 * Expects that a server that has been waited for has left none of its children, not as a zombie
 * either. Who sleeps in the kernel, as for a disk, dies when it wakes up, and children_end waits a
 * second for it: a server that took as long may have left children, which end later.
 */
void expect_no_children_left(const struct server *server, const pid_t *children, int count);

/*
 * Starts a process that traces `pid` (ptrace(2)) and does nothing more: when the traced one dies,
 * nobody can reap it until this tracer has been ended, by SIGKILL and waitpid. Returns its process
 * id, or -1, having said so, where nobody may trace.
 */
pid_t start_tracer(pid_t pid);

/* The CPU time of a process and its descendants, in nanoseconds. */
int64_t cpu_of(pid_t pid);

/* How many descriptors a process has open, or -1 when it has gone. */
int descriptors_of(pid_t pid);

#endif
