/*
 * The servers that the suites of this folder hold for. A suite is one program that runs once for
 * each server; it learns which from its own name: contract-04 tests the server of chapter 4.
 */
#ifndef SUBJECT_H
#define SUBJECT_H

#include "support.h"

struct subject {
    const char *name;    /* as in the Makefile's list of servers */
    const char *program; /* below build/ */
    const char *worker;  /* -w, below the source tree; NULL for none */
    bool pool;           /* has its workers from the start, and pool.c for its master */
    bool exec;           /* its workers are another program */
};

/* The one that this program is to test. */
extern const struct subject *subject;

/* Finds the subject by the name of this program, argv[0]; ends the program if there is none. */
void subject_find(const char *program);

/* Starts the subject on a free port of 127.0.0.1 with so many workers. */
struct server start_workers(int workers);

/* Starts the subject with these arguments, which NULL ends, after those that make it the subject.
 */
struct server start_with(const char *first, ...);

/* Runs the subject with these arguments until it ends by itself. */
struct output run_subject(const char *first, ...);

#endif
