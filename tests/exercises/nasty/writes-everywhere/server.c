/* Leaves a file wherever it can. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(void)
{
    const char *const folders[] = {"/tmp", "/var/tmp", "/dev/shm", "/",
                                   "/run", "/etc",     "/home",    "/root"};
    char path[128];
    int written = 0;

    for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
        snprintf(path, sizeof(path), "%s/left-by-an-exercise", folders[i]);
        int file = open(path, O_WRONLY | O_CREAT, 0600);
        written += file != -1;
        close(file);
    }
    return written;
}
