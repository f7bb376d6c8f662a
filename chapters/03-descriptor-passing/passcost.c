/*
 * passcost [-n ROUNDS]
 *
 * Two ways to get an open descriptor into another process, against the clock: pass it to one that
 * exists, or fork one that inherits it. Both times count until the other process has it and has
 * said so. A round trip of one plain byte stands beside them. Prints the median of ROUNDS each.
 */
#include "arguments.h"
#include "fdpass.h"
#include "output.h"
#include "process.h"
#include "samples.h"
#include "stopwatch.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const char usage[] = "[-n ROUNDS]\n";

static int channel[2], file;

/* The process that exists: takes what comes, with or without a descriptor, and answers. */
static void answer(void)
{
    char byte;
    int fd;

    while (read_fd(channel[1], &byte, 1, &fd) == 1) {
        if (fd != -1)
            close(fd);
        if (write_fd(channel[1], &byte, 1, -1) == -1)
            err(EXIT_FAILURE, "write_fd");
    }
}

static void send_and_wait(int fd)
{
    char byte = '!';
    int none;

    if (write_fd(channel[0], &byte, 1, fd) == -1 || read_fd(channel[0], &byte, 1, &none) != 1)
        err(EXIT_FAILURE, "the other process");
}

static void byte_there_and_back(void)
{
    send_and_wait(-1);
}

static void pass_descriptor(void)
{
    send_and_wait(file);
}

static void fork_and_exit(void)
{
    pid_t child = fork();

    if (child == -1)
        err(EXIT_FAILURE, "fork");
    if (child == 0)
        _exit(EXIT_SUCCESS);
    if (waitpid(child, NULL, 0) == -1)
        err(EXIT_FAILURE, "waitpid");
}

static void measure(const char *what, void (*act)(void), int64_t rounds)
{
    struct samples samples = {0};

    for (int64_t i = 0; i < rounds; i++) {
        int64_t begin = now_ns();
        act();
        if (samples_add(&samples, now_ns() - begin) == -1)
            err(EXIT_FAILURE, "samples");
    }
    samples_sort(&samples);
    printf("%s\t%.2f\n", what, (double)samples_percentile(&samples, 50) / 1e3);
    output_check();
    samples_free(&samples);
}

int main(int argc, char **argv)
{
    int64_t rounds = 2000;
    int option;

    output_begin();
    argv[0] = program_invocation_short_name; /* by which getopt begins its messages */
    while ((option = getopt(argc, argv, "n:h")) != -1) {
        if (option == 'h')
            usage_help(usage);
        if (option != 'n')
            usage_mistake(usage);
        rounds = option_number('n', "rounds", 1, 1000000, usage);
    }
    expect_no_more_arguments(argc, argv, usage);

    setvbuf(stdout, NULL, _IOLBF, 0);
    file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (file == -1 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) == -1)
        err(EXIT_FAILURE, "cannot start");
    pid_t child = fork_child();
    if (child == -1)
        err(EXIT_FAILURE, "fork");
    if (child == 0) {
        close(channel[0]);
        answer();
        close(channel[1]);
        _exit(EXIT_SUCCESS);
    }
    close(channel[1]);

    puts("way\tus");
    output_check();
    measure("one byte, there and back", byte_there_and_back, rounds);
    measure("pass a descriptor", pass_descriptor, rounds);
    measure("fork, exit and wait", fork_and_exit, rounds);

    close(channel[0]); /* the child reads end-of-file */
    if (waitpid(child, NULL, 0) == -1)
        err(EXIT_FAILURE, "waitpid");
    return EXIT_SUCCESS;
}
