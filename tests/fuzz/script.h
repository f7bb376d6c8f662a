/*
 * What the fuzz targets share: the fuzzer's bytes read as a script, demands, and the count of open
 * descriptors. A target is one function, LLVMFuzzerTestOneInput, that libFuzzer calls in one
 * process again and again: what one run leaves open is there in the next.
 * See https://llvm.org/docs/LibFuzzer.html.
 */
#ifndef SCRIPT_H
#define SCRIPT_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Unlike assert(3) it cannot be compiled away. libFuzzer keeps the input when a target aborts. */
#define DEMAND(condition)                                                                          \
    ((condition) ? (void)0 : demand_failed(__FILE__, __LINE__, __func__, #condition))

static inline _Noreturn void demand_failed(const char *file, int line, const char *function,
                                           const char *condition)
{
    fprintf(stderr, "%s:%d: %s: not so: %s\n", file, line, function, condition);
    abort();
}

struct script {
    const uint8_t *next, *end;
};

static inline size_t script_left(const struct script *script)
{
    return (size_t)(script->end - script->next);
}

/* The next byte. A script that has ended goes on with zeros, so that every input is valid. */
static inline uint8_t script_byte(struct script *script)
{
    return script->next < script->end ? *script->next++ : 0;
}

/* How many descriptors this process has open. The directory stays open, and counts, too. */
static inline int open_descriptors(void)
{
    static DIR *directory;
    int count = 0;
    struct dirent *entry;

    if (directory)
        rewinddir(directory);
    else
        directory = opendir("/proc/self/fd");
    DEMAND(directory);
    while ((entry = readdir(directory)))
        count += entry->d_name[0] != '.';
    return count;
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
