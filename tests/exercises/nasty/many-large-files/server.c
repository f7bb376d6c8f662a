/* Fills the disk with files of a megabyte. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static char zeros[1 << 20];

int main(void)
{
    char name[32];

    for (long i = 0;; i++) {
        snprintf(name, sizeof(name), "%ld", i % 1000);
        int file = open(name, O_WRONLY | O_CREAT, 0600);
        if (write(file, zeros, sizeof(zeros)) < 0)
            usleep(1000);
        close(file);
    }
}
