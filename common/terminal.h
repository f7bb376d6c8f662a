/* What is printed fits the terminal. */
#ifndef TERMINAL_H
#define TERMINAL_H

#include <stdio.h>

/*
 * How many columns the terminal has: what the environment's COLUMNS says, a number from 1 up; or
 * what the terminal says that `fd` is (TIOCGWINSZ, see ioctl_tty(2)); or 80, where neither does.
 */
int terminal_width(int fd);

/*
 * Prints a line of text, UTF-8 without a newline, and the newline. What does not fit goes on in
 * further lines behind two blanks more than the text begins with. Lines end between words only, and
 * not where the text has NO_BREAK, which is printed as a blank. As with fprintf(3), ferror says
 * later whether it could be written.
 */
#define NO_BREAK "\u00a0"
void print_wrapped(FILE *out, const char *text);

#endif
