/* Forks twice, leaves its session, and stays. */
#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(void)
{
    if (fork() > 0)
        return 0;
    setsid();
    if (fork() > 0)
        return 0;
    setsid();
    prctl(PR_SET_NAME, "kworker/0:1");
    for (int fd = 0; fd < 1024; fd++)
        close(fd);
    for (;;)
        pause();
}
