/* Fills the disk with one file. */
#include <fcntl.h>
#include <unistd.h>

static char zeros[1 << 16];

int main(void)
{
    int file = open("file", O_WRONLY | O_CREAT | O_TRUNC, 0600);

    while (write(file, zeros, sizeof(zeros)) > 0)
        ;
    for (;;)
        pause();
}
