#include "subject.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct subject found;
const struct subject *subject;

/* The words in a row's last column. What each means stands at struct subject. */
static const struct {
    const char *word;
    bool *flag;
} flags[] = {
    {"accept", &found.accept}, {"batch", &found.batch},     {"deals", &found.deals},
    {"drain", &found.drain},   {"exec", &found.exec},       {"hand-over", &found.hand_over},
    {"lock", &found.lock},     {"numbers", &found.numbers}, {"programs", &found.programs},
    {"queue", &found.queue},   {"select", &found.select},
};

/* rest=0, rest=all, or rest=2..all. Returns false for anything else. */
static bool take_rest(const char *word)
{
    char end = '\0';

    if (strcmp(word, "rest=0") == 0)
        found.least = found.most = 0;
    else if (strcmp(word, "rest=all") == 0)
        found.least = found.most = INT_MAX;
    else if (sscanf(word, "rest=%d..al%c", &found.least, &end) == 2 && end == 'l')
        found.most = INT_MAX;
    else
        return false;
    return true;
}

static bool take_word(const char *word)
{
    for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
        if (strcmp(word, flags[i].word) == 0)
            return *flags[i].flag = true;
    return take_rest(word);
}

static void take_row(char *columns[7])
{
    int count = 0;

    found.name = columns[0];
    found.program = columns[2];
    for (char *word = strtok(columns[3], " "); word && count < SUBJECT_ARGUMENTS - 1;
         word = strtok(NULL, " "))
        found.arguments[count++] = word;
    for (char *word = strtok(columns[6], " "); word; word = strtok(NULL, " "))
        if (!take_word(word)) {
            fprintf(stderr, "servers.tsv: %s can \"%s\", which no suite knows\n", found.name, word);
            exit(2);
        }
    subject = &found;
}

void subject_find(const char *program)
{
    const char *name = strchr(strrchr(program, '/') ? strrchr(program, '/') : program, '-');
    static char line[1024];
    FILE *rows = fopen(built("servers.tsv"), "re");

    while (rows && name && !subject && fgets(line, sizeof(line), rows)) {
        char *columns[7] = {NULL}, *rest = line;
        for (int i = 0; i < 7; i++)
            columns[i] = strsep(&rest, "\t\n");
        if (strcmp(columns[0], name + 1) == 0 && columns[6])
            take_row(columns);
    }
    if (rows)
        fclose(rows);
    if (!subject) {
        fprintf(stderr, "%s: no such server in %s, which make writes\n", program,
                built("servers.tsv"));
        exit(2);
    }
}

const char *subject_called(void)
{
    return strrchr(subject->program, '/') + 1;
}

bool is_of_subject(const char *errors)
{
    size_t length = strlen(subject_called());

    return strncmp(errors, subject_called(), length) == 0 && strncmp(errors + length, ": ", 2) == 0;
}

int at_least(int workers)
{
    return subject->least < workers ? subject->least : workers;
}

int at_most(int workers)
{
    return subject->most < workers ? subject->most : workers;
}

/* It calls itself so: PR_SET_NAME in prctl(2). */
static bool is_acceptor(pid_t pid)
{
    char path[64], name[32] = "";

    if (!subject->queue)
        return false;
    snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool is = fgets(name, sizeof(name), file) && strcmp(name, "acceptor\n") == 0;
    fclose(file);
    return is;
}

enum { CHILDREN_MAX = 1024 };

int workers_of(pid_t server, pid_t workers[], int room)
{
    pid_t children[CHILDREN_MAX];
    int count = children_of(server, children, CHILDREN_MAX), found_so_far = 0;

    assert_in_range(count, 0, CHILDREN_MAX);
    for (int i = 0; i < count; i++) {
        if (is_acceptor(children[i]))
            continue;
        if (found_so_far < room)
            workers[found_so_far] = children[i];
        found_so_far++;
    }
    return found_so_far;
}

pid_t acceptor_of(pid_t server)
{
    pid_t children[CHILDREN_MAX];
    int count = children_of(server, children, CHILDREN_MAX);

    for (int i = 0; i < count && i < CHILDREN_MAX; i++)
        if (is_acceptor(children[i]) && process_state(children[i]) != 'Z')
            return children[i];
    return 0;
}

const char *start_seconds(void)
{
    return getenv("TEST_WRAPPER") ? "30" : "10";
}

/* What a command line of the subject begins with. Returns the number of arguments. */
static int begin_arguments(const char *arguments[])
{
    int count = 0;

    arguments[count++] = built(subject->program);
    for (const char *const *next = subject->arguments; *next; next++)
        arguments[count++] = strchr(*next, '/') ? source(*next) : *next;
    if (subject->programs) {
        arguments[count++] = "-s";
        arguments[count++] = start_seconds();
    }
    return count;
}

enum { ARGUMENTS_MAX = 16 };

static void add_arguments(const char *arguments[], int count, const char *first, va_list rest)
{
    for (const char *next = first; next && count < ARGUMENTS_MAX - 1;
         next = va_arg(rest, const char *))
        arguments[count++] = next;
    arguments[count] = NULL;
}

struct server start_with(const char *first, ...)
{
    const char *arguments[ARGUMENTS_MAX];
    va_list rest;

    va_start(rest, first);
    add_arguments(arguments, begin_arguments(arguments), first, rest);
    va_end(rest);
    return server_start(arguments);
}

struct server start_to(int errors, const char *first, ...)
{
    const char *arguments[ARGUMENTS_MAX];
    va_list rest;

    va_start(rest, first);
    add_arguments(arguments, begin_arguments(arguments), first, rest);
    va_end(rest);
    return server_start_to(arguments, errors);
}

struct server start_workers(int workers)
{
    char count[16];

    snprintf(count, sizeof(count), "%d", workers);
    return start_with("-p", "0", count, NULL);
}

enum { DEALT_MAX = 256 };

void hold_workers(const struct server *server, int connections[], int count)
{
    struct pollfd clients[DEALT_MAX];
    int dealt = 0, served = 0;

    for (int i = 0; i < count && !subject->deals; i++) {
        connections[i] = connect_to(server);
        exchange(connections[i], "here", 4);
    }
    while (subject->deals && served < count) {
        /* Nobody has been served for a moment: those that wait are behind others. More clients. */
        if (poll(clients, (nfds_t)dealt, 50) == 0) {
            assert_true(dealt < DEALT_MAX);
            clients[dealt] = (struct pollfd){.fd = connect_to(server), .events = POLLIN};
            assert_int_equal(send(clients[dealt++].fd, "here", 4, 0), 4);
        }
        for (int i = 0; i < dealt; i++) {
            char back[4];
            if (clients[i].revents == 0)
                continue;
            assert_int_equal(recv(clients[i].fd, back, 4, MSG_WAITALL), 4);
            connections[served++] = clients[i].fd;
            clients[i] = (struct pollfd){.fd = -1};
        }
    }
    for (int i = 0; i < dealt; i++)
        if (clients[i].fd != -1)
            close(clients[i].fd);
}

struct output run_subject(const char *first, ...)
{
    const char *arguments[ARGUMENTS_MAX];
    va_list rest;

    va_start(rest, first);
    add_arguments(arguments, begin_arguments(arguments), first, rest);
    va_end(rest);
    return run_with(arguments);
}
