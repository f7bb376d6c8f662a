#include "terminal.h"

#include "arguments.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

enum { USUAL = 80, MOST = 10000 };

int terminal_width(int fd)
{
    const char *told = getenv("COLUMNS");
    int64_t columns;
    struct winsize size;

    if (told && parse_number(told, 1, MOST, &columns))
        return (int)columns;
    if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return USUAL;
}

/* Of `length` bytes in UTF-8 those that begin a character: the others are 10xxxxxx. */
static int columns(const char *text, size_t length)
{
    int count = 0;

    for (size_t i = 0; i < length; i++)
        count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

/* A word, with a blank for each no-break space. */
static void print_word(FILE *out, const char *word, size_t length)
{
    const size_t width = strlen(NO_BREAK);

    for (size_t i = 0; i < length; i++)
        if (length - i >= width && memcmp(word + i, NO_BREAK, width) == 0) {
            putc(' ', out);
            i += width - 1;
        } else {
            putc(word[i], out);
        }
}

void print_wrapped(FILE *out, const char *text)
{
    int width = terminal_width(fileno(out));
    int indent = (int)strspn(text, " ");
    int column = fprintf(out, "%*s", indent, "");

    text += indent;
    for (size_t length; *text != '\0'; text += length) {
        size_t blanks = strspn(text, " ");
        length = blanks + strcspn(text + blanks, " ");
        if (column > indent && column + columns(text, length) > width) {
            column = fprintf(out, "\n%*s", indent + 2, "") - 1;
            print_word(out, text + blanks, length - blanks);
            column += columns(text + blanks, length - blanks);
        } else {
            print_word(out, text, length);
            column += columns(text, length);
        }
    }
    putc('\n', out);
}
