/*
 * The servers that the suites of this folder hold for. A suite is one program that runs once for
 * each server; it learns which from its own name: contract-04 tests the server of chapter 4.
 */
#ifndef SUBJECT_H
#define SUBJECT_H

#include "support.h"

/*
 * A row of servers.tsv, which make writes from the chapters' programs.mk. What a server can is said
 * in words; those without a value stand behind their meaning.
 */
enum { SUBJECT_ARGUMENTS = 8 };
struct subject {
    const char *name;
    const char *program;                      /* below build/ */
    const char *arguments[SUBJECT_ARGUMENTS]; /* NULL ends them; with a slash: a file of the tree */

    /*
     * How many workers it has when it serves nobody: rest=0 none, rest=all as many as WORKERS says,
     * rest=2..all at least 2 of those, and now more, now fewer. When all are wanted there are
     * always WORKERS. Compare with at_least and at_most.
     */
    int least, most;

    bool accept;    /* accept: the workers accept, and the master never sees a connection */
    bool lock;      /* lock: they take turns by a lock, so a stopped one may hold up the others */
    bool deals;     /* deals: the kernel deals clients to workers blindly, busy or not; and what
                       was dealt to one is lost with it */
    bool hand_over; /* hand-over: a connection goes to a worker that exists, through a channel */
    bool queue;     /* queue: one child more, the acceptor, puts connections into a channel that all
                       workers share */
    bool numbers;   /* numbers: there it keeps them until they are taken, and they die with it */
    bool select;    /* select: the master watches each worker with it, so FD_SETSIZE is a limit */
    bool exec;      /* exec: the workers are another program: `worker` beside it, or that of -w */
    bool programs;  /* programs: that may be any, and these tests give it theirs */
    bool batch;     /* batch: master and workers run as SCHED_BATCH */
    bool drain;     /* drain: after SIGTERM what the workers serve is served to its end */
};

/* The one that this program is to test. */
extern const struct subject *subject;

/* What it calls itself: the last part of .program. */
const char *subject_called(void);

/* True when what a program said on stderr begins with that name, a colon and a blank. */
bool is_of_subject(const char *errors);

/* How many workers the subject has at rest, at least and at most, when WORKERS is `workers`. */
int at_least(int workers);
int at_most(int workers);

/* For option -s of a subject that runs programs: the default, or 30 where a test runs under a
 * wrapper, such as valgrind, behind which a program starts slowly. */
const char *start_seconds(void);

/* The process ids of a server's workers: its children but for the acceptor. As children_of. */
int workers_of(pid_t server, pid_t workers[], int room);

/* The acceptor of a server that has a queue; 0 while there is none. */
pid_t acceptor_of(pid_t server);

/* Finds the subject by the name of this program, argv[0]; ends the program if there is none. */
void subject_find(const char *program);

/* Starts the subject on a free port of 127.0.0.1 with so many workers. */
struct server start_workers(int workers);

/* Starts the subject with these arguments, which NULL ends, after those that make it the subject.
 */
struct server start_with(const char *first, ...);

/* The same, with the descriptor to which stderr goes, which is the server's from here on. */
struct server start_to(int errors, const char *first, ...);

/*
 * Makes so many connections, each of which a worker serves: it has had an echo, and so holds its
 * worker. Where the kernel deals clients to workers, it takes more to hit as many, who go again.
 */
void hold_workers(const struct server *server, int connections[], int count);

/* Runs the subject with these arguments until it ends by itself. */
struct output run_subject(const char *first, ...);

#endif
