#include "subject.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct subject subjects[] = {
    {"01", "chapters/01-fork-per-connection/server", NULL, .pool = false, .exec = false},
    {"04", "chapters/04-prefork-select/server", NULL, .pool = true, .exec = false},
    {"05", "chapters/05-exec-workers/server", NULL, .pool = true, .exec = true},
    {"05-python", "chapters/05-exec-workers/server", "chapters/05-exec-workers/worker.py",
     .pool = true, .exec = true},
};

const struct subject *subject;

void subject_find(const char *program)
{
    const char *name = strchr(strrchr(program, '/') ? strrchr(program, '/') : program, '-');

    for (size_t i = 0; name && i < sizeof(subjects) / sizeof(*subjects); i++)
        if (strcmp(subjects[i].name, name + 1) == 0)
            subject = &subjects[i];
    if (!subject) {
        fprintf(stderr, "%s: no such server in tests/servers/subject.c\n", program);
        exit(2);
    }
}

/* What a command line of the subject begins with. Returns the number of arguments. */
static int begin_arguments(const char *arguments[])
{
    int count = 0;

    arguments[count++] = built(subject->program);
    if (subject->worker) {
        arguments[count++] = "-w";
        arguments[count++] = source(subject->worker);
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

struct server start_workers(int workers)
{
    char count[16];

    snprintf(count, sizeof(count), "%d", workers);
    return start_with("-p", "0", count, NULL);
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
