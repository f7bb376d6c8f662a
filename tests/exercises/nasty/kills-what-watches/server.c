/* Sends a signal to whoever started the test. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(void)
{
    char path[64], text[1024] = "";

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)getppid());
    FILE *file = fopen(path, "r");
    if (file && fgets(text, sizeof(text), file) && strrchr(text, ')')) {
        int parent = atoi(strrchr(text, ')') + 4);
        if (parent >= 1)
            kill(parent, SIGKILL);
    }
    for (;;)
        pause();
}
