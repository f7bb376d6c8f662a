/*
 * The lock around accept of chapters/06-accept-in-workers, ways.c, for spin.
 *
 * N places for workers, C connections. From outside come clients and D deaths of workers, each at
 * any step; SHORT calls of accept fail; HOLD clients never let go of their worker. The lock is a
 * robust mutex as glibc and the kernel make it: a word, a queue of who sleeps, and what the kernel
 * does at a death. README.md says what is proved and what is left out; check.sh runs it all.
 *
 * A step is a d_step: one atomic instruction or system call. Each name in an #ifdef puts one fault
 * in.
 */
#ifndef N
#define N 3     /* places */
#endif
#ifndef C
#define C 3     /* connections */
#endif
#ifndef D
#define D 2     /* workers that die */
#endif
#ifndef SHORT
#define SHORT 1 /* accepts that fail: the client has gone, or descriptors have run out */
#endif
#ifndef HOLD
#define HOLD 1  /* clients that never let go */
#endif
#define K    (N + D) /* workers that are ever started */
#define NONE 255

/* Where a worker is: in pthread_mutex_lock (ENTER; LOCK, at the word; SLEEP, about to call
 * futex_wait; ASLEEP), in pthread_mutex_consistent, accept4, pthread_mutex_unlock (UNLOCK, at the
 * word; WAKE, about to call futex_wake), or echo. HELD: there with a client that never lets go. */
mtype = { UNBORN, ENTER, LOCK, SLEEP, ASLEEP, CONSISTENT, ACCEPT, UNLOCK, WAKE, SERVE, HELD,
          STOPPED, ZOMBIE, REAPED };
#define ALIVE(k) (at[k] != UNBORN && at[k] != ZOMBIE && at[k] != REAPED)
/* list_op_pending of its robust list says: it takes the lock, or gives it back. */
#define PENDING(k) (at[k] == LOCK || at[k] == SLEEP || at[k] == ASLEEP || at[k] == WAKE)

mtype = { GOOD, INCONSISTENT, NOT_RECOVERABLE }; /* the mutex, as glibc notes it beside the word */

/* ---- the lock, in memory that all share ---- */

byte owner = NONE;              /* the word: whose number it holds ... */
bool waiters;                   /* ... FUTEX_WAITERS ... */
bool owner_died;                /* ... FUTEX_OWNER_DIED */
mtype condition = GOOD;
chan sleepers = [K] of { byte }; /* in futex_wait, in the order in which they came */

/* ---- the workers ---- */

mtype at[K] = UNBORN;
bool assumes[K];                /* it has slept: others may, too, so that it sets FUTEX_WAITERS */
byte seen[K] = NONE;            /* the word as futex_wait expects it: its owner */
byte serves[K] = NONE;          /* its connection */

/* ---- connections, the master, and what comes from outside ---- */

byte arrived;                   /* connections 0 to arrived-1 have come to the backlog ... */
byte accepted;                  /* ... and 0 to accepted-1 have left it */
bool begun[C], finished[C], held[C];
bool forfeit[C];                /* the worker that had connection x has died */
byte process[N] = NONE;         /* in this place; NONE: it is vacant */
byte started;                   /* workers so far: the number of the next */
byte deaths = D;
byte shortages = SHORT;
byte holders = HOLD;

/* ---- what is asserted; spin shows the name of the one that fails ---- */

bool two_accept, served_twice, connection_lost, nobody_accepts, worker_missing;

inline demand(condition_, name)
{
    if
    :: (condition_)
    :: else -> name = true; assert(!name)
    fi
}

hidden byte w, x, bits; /* scratch: of no meaning between steps */

/* ---- the kernel ---- */

#ifdef PLAIN
#define ROBUST false
#else
#define ROBUST true
#endif

/* Whether the death of a worker with PENDING wakes a sleeper: it may have been woken itself, or
 * have been about to wake somebody. */
#ifdef PENDING_IGNORED
#define WAKES false /* Linux before 5.5 */
#elif defined(ALWAYS_WAKES)
#define WAKES true
#else
#define WAKES (owner == NONE)
#endif

inline futex_wake()
{
    if
    :: len(sleepers) > 0 -> sleepers?w; at[w] = LOCK; w = 0
    :: else
    fi
}

/* exit_robust_list: handle_futex_death for what the dead worker held or was about to. */
inline worker_dies(k)
{
    printf("worker %d is killed\n", k);
    if
    :: at[k] == ASLEEP -> sleepers??eval(k)
    :: else
    fi;
    if
    :: !ROBUST
    :: ROBUST && owner == k ->
        owner = NONE;
        owner_died = true;
        if
        :: waiters -> futex_wake()
        :: else
        fi
    :: ROBUST && owner != k && PENDING(k) && WAKES -> futex_wake()
    :: else
    fi;
    if
    :: serves[k] != NONE -> forfeit[serves[k]] = true
    :: else
    fi;
    serves[k] = NONE;
    assumes[k] = false;
    seen[k] = NONE;
    at[k] = ZOMBIE
}

/* ---- a worker: lock_next, and work() around it ---- */

inline begin_to_accept(k)
{
    w = 0;
    do
    :: w < K -> demand(at[w] != ACCEPT, two_accept); w++
    :: else -> break
    od;
    w = 0;
    at[k] = ACCEPT
}

/* The end of pthread_mutex_lock. */
inline lock_taken(k)
{
    assumes[k] = false;
    begin_to_accept(k)
}

/* Behind lock_next. */
inline go_on(k)
{
    if
    :: serves[k] != NONE -> at[k] = SERVE
    :: else -> at[k] = ENTER
    fi
}

active [K] proctype Worker()
{
    byte k = _pid;

end:
    do
    /* pthread_mutex_lock */
    :: d_step { at[k] == ENTER -> at[k] = LOCK }
    :: d_step { at[k] == LOCK && owner == NONE && !owner_died ->
        owner = k;
#ifdef WAITERS_FORGOTTEN
        waiters = false;
#else
        waiters = waiters || assumes[k];
#endif
        if
        :: condition == NOT_RECOVERABLE -> /* no lock for anybody; ways.c then goes on without */
            owner = NONE;
            if
            :: waiters -> futex_wake()
            :: else
            fi;
            waiters = false
        :: else -> printf("worker %d has the lock\n", k)
        fi;
        lock_taken(k) }
    :: d_step { at[k] == LOCK && owner == NONE && owner_died ->
        printf("worker %d has the lock of the dead\n", k);
        owner = k;
        owner_died = false;
        waiters = waiters || assumes[k];
        condition = INCONSISTENT;
#ifdef NOT_CONSISTENT
        lock_taken(k)
#else
        assumes[k] = false;
        at[k] = CONSISTENT
#endif
        }
    :: d_step { at[k] == LOCK && owner != NONE ->
#ifdef TRYLOCK
        skip
#else
        waiters = true;
        assumes[k] = true;
        seen[k] = owner;
        at[k] = SLEEP
#endif
        }
    :: d_step { at[k] == SLEEP -> /* futex_wait */
        if
        :: owner == seen[k] && waiters && !owner_died -> sleepers!k; at[k] = ASLEEP
        :: else -> at[k] = LOCK
        fi;
        seen[k] = NONE }

    :: d_step { at[k] == CONSISTENT -> /* pthread_mutex_consistent */
        condition = GOOD;
        begin_to_accept(k) }

    :: d_step { at[k] == ACCEPT && arrived > accepted ->
        printf("worker %d accepts connection %d\n", k, accepted);
        serves[k] = accepted;
        accepted++;
#ifdef GREEDY
        if
        :: arrived > accepted -> serves[k] = accepted; accepted++
        :: else
        fi;
#endif
#ifdef SERVES_LOCKED
        at[k] = SERVE
#else
        at[k] = UNLOCK
#endif
        }
    :: d_step { at[k] == ACCEPT && shortages > 0 ->
        printf("worker %d cannot accept\n", k);
        shortages--;
#ifdef UNCHECKED
        serves[k] = (accepted > 0 -> accepted - 1 : NONE);
#endif
#ifdef KEPT_ON_FAILURE
        at[k] = ENTER
#else
        at[k] = UNLOCK
#endif
        }

    /* pthread_mutex_unlock; EPERM to who has not got it */
    :: d_step { at[k] == UNLOCK && owner == k ->
        printf("worker %d gives the lock back\n", k);
        condition = (condition == INCONSISTENT -> NOT_RECOVERABLE : condition);
        owner = NONE;
        if
        :: waiters -> at[k] = WAKE
        :: else -> go_on(k)
        fi;
        waiters = false }
    :: d_step { at[k] == UNLOCK && owner != k -> go_on(k) }
    :: d_step { at[k] == WAKE ->
        futex_wake();
        go_on(k) }

    :: d_step { at[k] == SERVE ->
        printf("worker %d has served connection %d\n", k, serves[k]);
        demand(!begun[serves[k]], served_twice);
        begun[serves[k]] = true;
        finished[serves[k]] = true;
        serves[k] = NONE;
#ifdef SERVES_LOCKED
        at[k] = UNLOCK
#else
        at[k] = ENTER
#endif
        }
    :: d_step { at[k] == SERVE && holders > 0 ->
        printf("worker %d serves connection %d for ever\n", k, serves[k]);
        demand(!begun[serves[k]], served_twice);
        begun[serves[k]] = true;
        holders--;
        held[serves[k]] = true;
        at[k] = HELD }

#ifdef HOLDER_STOPS
    :: d_step { at[k] == ACCEPT -> at[k] = STOPPED }
#endif
    :: d_step { ALIVE(k) && deaths > 0 ->
        deaths--;
        worker_dies(k) }
    od
}

/* ---- the master: supervise ---- */

#define DEAD(i) (process[i] < K && at[process[i]] == ZOMBIE)

active proctype Master()
{
end:
    do
    :: d_step { process[0] == NONE || process[1] == NONE || process[N-1] == NONE ->
        x = 0;
        do
        :: process[x] != NONE -> x++
        :: else -> break
        od;
        printf("the master forks worker %d\n", started);
        process[x] = started;
        at[started] = ENTER;
        started++;
        x = 0 }
    :: d_step { DEAD(0) || DEAD(1) || DEAD(N-1) ->
        x = 0;
        do
        :: !DEAD(x) -> x++
        :: else -> break
        od;
        at[process[x]] = REAPED;
#ifdef MASTER_UNLOCKS
        owner = NONE; /* whoever holds it */
        if
        :: waiters -> futex_wake()
        :: else
        fi;
        waiters = false;
#endif
#ifdef NEVER_REPLACED
        process[x] = K;
#else
        process[x] = NONE;
#endif
        x = 0 }
    od
}

/* ---- what comes from outside ---- */

active proctype Outside()
{
end:
    do
    :: d_step { arrived < C ->
        printf("a client connects\n");
        arrived++ }
    od
}

/* ---- what must be true when nothing can go on ---- */

active proctype Auditor()
{
    timeout;
    d_step {
        w = 0;
        do
        :: w < N -> demand(process[w] < K && ALIVE(process[w]), worker_missing); w++
        :: else -> break
        od;
        x = 0;
        do
        :: x < accepted -> demand(finished[x] || held[x] || forfeit[x], connection_lost); x++
        :: else -> break
        od;
        x = 0; /* how many wait in accept, and how many can never go there */
        bits = 0;
        w = 0;
        do
        :: w < K ->
            x = x + (at[w] == ACCEPT);
            bits = bits + (at[w] == HELD);
            w++
        :: else -> break
        od;
        demand(x == 1 || bits == N, nobody_accepts);
        w = 0;
        x = 0;
        bits = 0
    }
}
