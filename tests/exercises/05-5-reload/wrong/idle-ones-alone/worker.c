/* The worker: its channel is descriptor 0. */
#include "echo.h"
#include "pool.h"

#include <stdlib.h>
#include <unistd.h>

int main(void)
{
    return pool_work(STDIN_FILENO, echo) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
