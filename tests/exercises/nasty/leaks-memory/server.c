/* Takes memory, uses it, and gives none back. */
#include <stdlib.h>
#include <string.h>

int main(void)
{
    for (;;) {
        void *more = malloc(1 << 20);
        if (more)
            memset(more, 1, 1 << 20);
    }
}
