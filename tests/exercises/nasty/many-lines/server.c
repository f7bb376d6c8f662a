/* Prints for ever, what a terminal acts on. */
#include <stdio.h>

int main(void)
{
    for (;;)
        puts("\033[2J01-1-zombies: passed");
}
