/* Prints for ever, and never a whole line. */
#include <stdio.h>

int main(void)
{
    for (;;)
        fputs("listening? ", stdout);
}
