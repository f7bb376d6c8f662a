/* A program of three gigabytes. */
#include <unistd.h>

static volatile char bytes[3UL << 30] = {1};

int main(void)
{
    return bytes[getpid()];
}
