/* Says that it listens, and does not. */
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    puts("listening on 127.0.0.1:1, 2 workers");
    fflush(stdout);
    for (;;)
        pause();
}
