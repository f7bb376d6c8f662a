/*
 * forkcost [-m MIB]
 *
 * What fork costs a process that uses much memory. fork copies no page, but it copies the tables
 * that say where the pages are: one entry for each 4 KiB, or for each 2 MiB where the kernel gave
 * huge pages (fact: fork-copies-entries-of-anonymous-memory). Prints a line for each size up to
 * MIB: MiB touched, kind of page, and µs for fork, exit and wait (the median of up to 200, of a few
 * for the largest).
 */
#include "arguments.h"
#include "output.h"
#include "samples.h"
#include "stopwatch.h"

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const char usage[] = "[-m MIB]\n";

enum { MIB = 1024 * 1024, FORKS_MAX = 200, BUDGET_MS = 150 };

static int64_t fork_and_wait_ns(void)
{
    int64_t begin = now_ns();
    pid_t child = fork();

    if (child == -1)
        err(EXIT_FAILURE, "fork");
    if (child == 0)
        _exit(EXIT_SUCCESS);
    if (waitpid(child, NULL, 0) == -1)
        err(EXIT_FAILURE, "waitpid");
    return now_ns() - begin;
}

/* Touches `mib` MiB in pages of the kind that `advice` asks for, and times fork. */
static void measure(size_t mib, const char *pages, int advice)
{
    struct samples samples = {0};
    size_t size = mib * MIB;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        err(EXIT_FAILURE, "%zu MiB", mib);
    madvise(memory, size, advice); /* madvise(2): where there are no huge pages, all are small */
    memset(memory, 1, size);

    int64_t end = now_ns() + (int64_t)BUDGET_MS * 1000000;
    do
        if (samples_add(&samples, fork_and_wait_ns()) == -1)
            err(EXIT_FAILURE, "samples");
    while (samples.count < FORKS_MAX && now_ns() < end);
    samples_sort(&samples);
    printf("%zu\t%s\t%.1f\n", mib, pages, (double)samples_percentile(&samples, 50) / 1e3);
    output_check();
    samples_free(&samples);
    munmap(memory, size);
}

/* What is free of the memory, as far as this process can address it. */
static size_t available_mib(void)
{
    size_t mib = (size_t)sysconf(_SC_AVPHYS_PAGES) / (MIB / (size_t)sysconf(_SC_PAGESIZE));

    return mib < SIZE_MAX / MIB ? mib : SIZE_MAX / MIB;
}

int main(int argc, char **argv)
{
    int64_t largest = 1024;
    int option;

    output_begin();
    argv[0] = program_invocation_short_name; /* by which getopt begins its messages */
    while ((option = getopt(argc, argv, "m:h")) != -1) {
        if (option == 'h')
            usage_help(usage);
        if (option != 'm')
            usage_mistake(usage);
        largest = option_number('m', "MiB", 1, MIB, usage);
    }
    expect_no_more_arguments(argc, argv, usage);

    setvbuf(stdout, NULL, _IOLBF, 0); /* or each child would have a copy of what is not yet out */
    puts("mib\tpages\tfork_us");
    output_check();
    for (size_t mib = 1; mib <= (size_t)largest; mib *= 2) {
        if (mib > available_mib() / 2) {
            warnx("%zu MiB and more left out: too little memory is free", mib);
            break;
        }
        measure(mib, "4 KiB", MADV_NOHUGEPAGE);
        measure(mib, "2 MiB", MADV_HUGEPAGE);
    }
    return EXIT_SUCCESS;
}
