/* Is another process every moment: who wants to kill it comes too late. */
#include <unistd.h>

int main(void)
{
    for (;;) {
        if (fork() > 0)
            _exit(0);
        setsid();
        usleep(100);
    }
}
