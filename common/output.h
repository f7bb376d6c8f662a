/* Standard input, output and error, made safe. */
#ifndef OUTPUT_H
#define OUTPUT_H

/*
 * The first thing that a program of the course does.
 *
 * Descriptors 0, 1 and 2 are open from then on, on /dev/null if need be: else the next socket that
 * the program opens could become descriptor 2, and its next error message go to whoever is at the
 * other end. SIGPIPE is ignored: output that nobody reads any more is an error like another.
 *
 * And when the program exits, by exit(3) or from main, stdout is flushed and looked at as in
 * output_check. A child that was forked since does this without a word, whoever waits for it has
 * the status, and so one process speaks for all.
 */
void output_begin(void);

/*
 * Flushes stdout. If anything that was printed on it so far could not be written, ends the program:
 * "PROGRAM: stdout: No space left on device", exit 1. To be called right behind what prints: a
 * buffer that is flushed by itself leaves the reason in errno, until the next call. See fflush(3).
 */
void output_check(void);

#endif
