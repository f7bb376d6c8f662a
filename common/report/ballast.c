/*
 * A library to preload into a server, so that it has more memory in use, as one has that keeps a
 * cache or a large table: BALLAST_MIB of it, touched, in ordinary pages of 4 KiB.
 *
 *     BALLAST_MIB=256 LD_PRELOAD=build/common/report/ballast.so SERVER
 *
 * Only the process that is started so gets it. Children share its pages; what they start by exec
 * does not load this library any more, since it unsets LD_PRELOAD: ld.so(8).
 */
#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

__attribute__((constructor)) static void take_ballast(void)
{
    const char *text = getenv("BALLAST_MIB");
    size_t size = (text ? strtoul(text, NULL, 10) : 0) << 20;

    unsetenv("LD_PRELOAD");
    unsetenv("BALLAST_MIB");
    if (size == 0)
        return;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        err(EXIT_FAILURE, "ballast of %s MiB", text);
    /* Huge pages would make fork much cheaper; chapter 1's forkcost shows by how much. */
    madvise(memory, size, MADV_NOHUGEPAGE);
    memset(memory, 1, size);
}
