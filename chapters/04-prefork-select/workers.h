/*
 * Places for worker processes: a worker is started in a place, noticed when it dies, replaced, and
 * ended. What the workers do, and how work comes to them, is not known here.
 *
 * Death is noticed by itself (SIGCHLD, waitpid(2)), whoever still holds copies of the dead one's
 * descriptors. Nothing here waits for one worker: not for one that is stopped, traced, or hangs.
 *
 * A place whose worker dies before it has proved itself stays vacant for a tenth of a second, and
 * twice as long each further time, up to about six seconds: what kills a worker at once mostly
 * kills its successor. The pause is the place's own; the other places do not mind.
 *
 * For processes with one thread, in which nobody else waits for these children: no waitpid(-1), no
 * handler of SIGCHLD. A process that is init of its PID namespace (process id 1) gets the orphans
 * of others as children, and nobody else will reap them: there workers_reap does, too.
 */
#ifndef WORKERS_H
#define WORKERS_H

#include <stdbool.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct workers;

/*
 * Makes so many places, 0 to places-1, all of them vacant. Blocks SIGCHLD until workers_close.
 * Returns NULL with errno: what calloc(3) or signalfd(2) said, or EXDEV where children cannot be
 * relied on (children_impossible in process.h).
 */
struct workers *workers_open(int places);

/*
 * For who has no channel to his workers, at whose end he would see it: from now on a worker is
 * noticed too that has died and cannot be reaped, since its tracer has to (ptrace(2)). Its place is
 * vacated soon after. Costs a descriptor for each worker: pidfd_open(2). To be called before the
 * first is started. Returns 0, or -1 with errno, and then nothing has changed.
 */
int workers_watch(struct workers *workers);

/* Readable while a worker may have died: call workers_reap then. Stays this module's. */
int workers_descriptor(const struct workers *workers);

/*
 * Returns a vacant place that is to be filled now, or -1: start a worker in it, or put it off, and
 * ask again. Also gets on with workers_dismiss; call it whenever workers_timeout says so.
 */
int workers_vacant(struct workers *workers);

/*
 * Starts a worker in a vacant place: fork_child of process.h, with its results. In the child,
 * nothing of this module is left open. Where it fails, the place is put off. A worker for which no
 * descriptor is left to watch it by is noticed by SIGCHLD alone.
 */
pid_t workers_start(struct workers *workers, int place);

/* No worker can be started in this vacant place now: it stays vacant for its pause. */
void workers_put_off(struct workers *workers, int place);

/* The worker in this place has done some work: when it dies, or if it just has, it is replaced at
 * once. */
void workers_proved(struct workers *workers, int place);

/* The process in this place; 0 when it is vacant. */
pid_t workers_pid(const struct workers *workers, int place);

/* When the worker in this place was started, as now_ms of process.h counts. */
int64_t workers_birth_ms(const struct workers *workers, int place);

/*
 * This worker is of no use any more: SIGKILL if it has not died by itself after `grace_ms`. When it
 * dies, workers_reap says so, as of any other. Who cannot be reaped soon after the SIGKILL (its
 * tracer has to, or it sleeps in the kernel) leaves its place to a successor, and is reaped later,
 * unsaid.
 */
void workers_dismiss(struct workers *workers, int place, int grace_ms);

/*
 * Reaps a worker that has died. Returns its place, which is vacant now, and writes its process id
 * and its status as waitpid(2) gives it; or returns -1 when no other has died.
 */
int workers_reap(struct workers *workers, pid_t *pid, int *status);

/* How many have died since workers_open. */
long workers_deaths(const struct workers *workers);

/* Milliseconds until workers_vacant has to be called again, though nobody dies; -1: not at all. */
int workers_timeout(const struct workers *workers);

/*
 * Waits `grace_ms` for all workers to end by themselves, ends those that have not (children_end in
 * process.h), and frees everything. Workers that know no other way need a signal before.
 */
void workers_close(struct workers *workers, int grace_ms);

#ifdef __cplusplus
}
#endif

#endif
