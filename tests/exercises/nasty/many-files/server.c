/* Fills the disk with files, each empty. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    char name[32];

    for (long i = 0;; i++) {
        snprintf(name, sizeof(name), "%ld", i);
        close(open(name, O_WRONLY | O_CREAT, 0600));
    }
}
