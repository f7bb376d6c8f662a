/*
 * The queue of chapters/07-one-queue, queue.c and travel.c, for spin.
 *
 * N places for workers, an acceptor, their supervisor, C connections. From outside come clients and
 * D deaths, of workers or of the acceptor, at any step, and, with ENDING, a stop or the supervisor's
 * death (kill -9). With NUMBERS connections travel as `-m pidfd` does it. README.md says what is
 * proved and what is left out; check.sh runs it all.
 *
 * A step is a d_step: one system call, or several whose order nobody else can see. Each name in an
 * #ifdef but ENDING and NUMBERS puts one fault in.
 */
#ifndef N
#define N 2     /* places */
#endif
#ifndef C
#define C 3     /* connections */
#endif
#ifndef D
#define D 1     /* deaths */
#endif
#ifndef Q
#define Q 1     /* messages in the queue: QUEUE_LENGTH */
#endif
#ifndef HOLD
#define HOLD 0  /* clients that never let go */
#endif
#ifndef FULL
#define FULL 0  /* workers that have no room for a descriptor */
#endif
#ifndef SLOW
#define SLOW 0  /* workers that are stopped for a while, with a number in their hands */
#endif
#define K    (N + D + FULL) /* workers that are ever started */
#define M    (Q + 2)        /* numbers that an acceptor has for connections */
#define NONE 255
#ifdef UNBOUNDED
#define ROOM C
#else
#define ROOM Q
#endif

/* Where a worker is. Of NUMBERS: TAKEN, about to copy the descriptor; TELL, about to say so.
 * HELD: with a client that never lets go. */
mtype = { UNBORN, FORKED, TAKE, TAKEN, TELL, SERVE, HELD, ZOMBIE, REAPED };
#define ALIVE(k) (at[k] != UNBORN && at[k] != ZOMBIE && at[k] != REAPED)

mtype = { GONE, ACCEPT, PUT, CLOSE, DEAD }; /* where the acceptor is; DEAD: not yet reaped */
#define ACCEPTS (acceptor != GONE && acceptor != DEAD)

mtype = { RUN, STOP, STOPPED, OVER }; /* where the supervisor is; STOPPED: the acceptor has gone */

/* ---- the kernel: the queue, and who holds what ---- */

/* A connection; of NUMBERS its number in the acceptor, and which acceptor. */
chan queue = [ROOM] of { byte, byte, byte };
chan taken = [C] of { byte, byte, byte }; /* the pipe of NUMBERS: the same three */
byte first_ends = 1;            /* descriptors of the first end ... */
byte second_ends = 1;           /* ... of the second; the supervisor has one of each */
byte descriptors[C];            /* ... of connection x; one in the queue counts */
byte arrived;                   /* connections 0 to arrived-1 have come to the backlog ... */
byte accepted;                  /* ... and 0 to accepted-1 have left it */

/* ---- the workers ---- */

mtype at[K] = UNBORN;
bool has_first[K];              /* got by fork */
bool no_room[K];                /* has no room for a descriptor */
bool slow[K];                   /* is stopped, or was, with a number in its hands */
byte serves[K] = NONE;          /* its connection; of TAKEN: the one that it is to have */
byte number[K] = NONE, whose[K]; /* of TAKEN and TELL: its number there, and in which acceptor */
bool begun[C], finished[C], held[C];
bool forfeit[C];                /* whoever had connection x has died */

/* ---- the acceptor ---- */

mtype acceptor = GONE;
byte generation;                /* acceptors so far */
byte hand = NONE;               /* accepted, and not closed here */
bool has_second;                /* until its first connection */
byte table[M] = NONE;           /* of NUMBERS: what is open, by number */

/* ---- the supervisor, and what comes from outside ---- */

mtype doing = RUN;
byte process[N] = NONE;         /* in this place; NONE: it is vacant */
byte started;                   /* workers so far: the number of the next */
bool killed;                    /* kill -9 of the supervisor */
byte lost;                      /* connections, with the queue at the end */
byte deaths = D;
byte holders = HOLD;
byte fulls = FULL;
byte slows = SLOW;

/* ---- what is asserted; spin shows the name of the one that fails ---- */

bool served_twice, connection_lost, client_forgotten, worker_missing, descriptor_left_open;
bool worker_outlives, acceptor_outlives, accepted_at_the_end, lost_beyond_the_bound;

inline demand(condition, name)
{
    if
    :: (condition)
    :: else -> name = true; assert(!name)
    fi
}

hidden byte w, x, y, z; /* scratch: of no meaning between steps */

/* ---- closing ---- */

inline close_connection(which)
{
    descriptors[which]--;
    demand(descriptors[which] > 0 || finished[which] || forfeit[which], connection_lost)
}

/* With the last descriptor of the end where they wait, messages go, and what they carry. */
inline close_second()
{
    second_ends--;
    do
    :: second_ends == 0 && len(queue) > 0 ->
        queue?x,y,z;
        if
        :: doing == OVER && !forfeit[x] -> forfeit[x] = true; lost++
        :: else
        fi;
        demand(lost <= Q, lost_beyond_the_bound);
#ifndef NUMBERS
        close_connection(x)
#endif
    :: else -> break
    od;
    x = 0; y = 0; z = 0
}

inline close_first(k)
{
    first_ends = first_ends - has_first[k];
    has_first[k] = false
}

/* A worker ends, whyever. */
inline worker_ends(k)
{
    printf("worker %d ends\n", k);
    close_first(k);
    if
    :: serves[k] != NONE -> forfeit[serves[k]] = true
    :: else
    fi;
    if
    :: serves[k] != NONE && at[k] != TAKEN -> close_connection(serves[k])
    :: else
    fi;
    serves[k] = NONE;
    number[k] = NONE;
    whose[k] = 0;
    no_room[k] = false;
    slow[k] = false;
    at[k] = ZOMBIE;
    close_second()
}

/* The acceptor ends, whyever. What it has put into the queue is not its own any more, unless only
 * the number has travelled. */
inline acceptor_ends()
{
    printf("the acceptor ends\n");
    first_ends--;
    if
    :: acceptor == PUT -> forfeit[hand] = true
    :: else
    fi;
    if
    :: hand != NONE -> close_connection(hand)
    :: else
    fi;
    hand = NONE;
    w = 0;
    do
    :: w < M ->
        if
        :: table[w] != NONE ->
#ifndef QUEUE_SURVIVES
            forfeit[table[w]] = true;
#endif
            close_connection(table[w])
        :: else
        fi;
        table[w] = NONE;
        w++
    :: else -> break
    od;
    w = 0;
    acceptor = DEAD;
    if
    :: has_second -> has_second = false; close_second()
    :: else
    fi
}

/* ---- a worker: queue_work; with NUMBERS number_take ---- */

#ifdef COOKIE_IGNORED
#define IS_ITS_OWN(k) true
#else
#define IS_ITS_OWN(k) (table[number[k]] == serves[k])
#endif

/* The worker begins to serve; it is the only one that does. */
inline has_it(k, which)
{
    printf("worker %d has connection %d\n", k, which);
    demand(!begun[which], served_twice);
    begun[which] = true;
    serves[k] = which
}

active [K] proctype Worker()
{
    byte k = _pid;

end:
    do
    :: d_step { at[k] == FORKED ->
#ifndef FIRST_END_KEPT
        close_first(k);
#endif
        at[k] = TAKE }

#ifdef NUMBERS
    :: d_step { at[k] == TAKE && len(queue) > 0 ->
        queue?x,y,z;
        printf("worker %d takes number %d, of connection %d\n", k, y, x);
        serves[k] = x;
        number[k] = y;
        whose[k] = z;
        at[k] = TAKEN;
        x = 0; y = 0; z = 0 }
    :: d_step { (at[k] == TAKEN || at[k] == TELL) && slows > 0 ->
        printf("worker %d is stopped for a while\n", k);
        slows--;
        slow[k] = true }
    :: d_step { at[k] == TAKEN -> /* pidfd_getfd, and the cookie */
        if
        :: whose[k] == generation && ACCEPTS && table[number[k]] != NONE && IS_ITS_OWN(k) ->
            x = table[number[k]];
            descriptors[x]++;
            has_it(k, x);
            at[k] = TELL
        :: else -> /* its acceptor has died, or has closed it */
            serves[k] = NONE;
            number[k] = NONE;
            whose[k] = 0;
            slow[k] = false;
            at[k] = TAKE
        fi;
        x = 0 }
    :: d_step { at[k] == TELL ->
        taken!serves[k],number[k],whose[k];
        number[k] = NONE;
        whose[k] = 0;
        slow[k] = false;
        at[k] = SERVE }
#else
    :: d_step { at[k] == TAKE && len(queue) > 0 && !no_room[k] -> /* its copy is this worker's */
        queue?x,_,_;
        has_it(k, x);
        at[k] = SERVE;
        x = 0 }
    :: d_step { at[k] == TAKE && fulls > 0 ->
        printf("worker %d has no room for descriptors any more\n", k);
        fulls--;
        no_room[k] = true }
    :: d_step { at[k] == TAKE && len(queue) > 0 && no_room[k] ->
        queue?x,_,_;
        printf("worker %d loses connection %d\n", k, x);
#ifdef GOES_ON_WITHOUT_ROOM
        close_connection(x)
#else
        forfeit[x] = true;
        close_connection(x);
        worker_ends(k)
#endif
        }
#endif

    :: d_step { at[k] == TAKE && len(queue) == 0 && first_ends == 0 -> /* end-of-file */
        worker_ends(k) }

    :: d_step { at[k] == SERVE ->
        printf("worker %d has served connection %d\n", k, serves[k]);
        finished[serves[k]] = true;
        close_connection(serves[k]);
        serves[k] = NONE;
        at[k] = TAKE }
    :: d_step { at[k] == SERVE && holders > 0 ->
        printf("worker %d serves connection %d for ever\n", k, serves[k]);
        holders--;
        held[serves[k]] = true;
        at[k] = HELD }

    :: d_step { ALIVE(k) && deaths > 0 ->
        deaths--;
        worker_ends(k) }
    od
}

/* ---- the acceptor: move_connections; with NUMBERS number_put, close_taken, close_orphans ---- */

#define HAS(k, n) ((at[k] == TAKEN || at[k] == TELL) && serves[k] == table[n] && !slow[k])
#if K == 2
#define ON_ITS_WAY(n) (HAS(0, n) || HAS(1, n))
#elif K == 3
#define ON_ITS_WAY(n) (HAS(0, n) || HAS(1, n) || HAS(2, n))
#else
#define ON_ITS_WAY(n) (HAS(0, n) || HAS(1, n) || HAS(2, n) || HAS(3, n))
#endif
/* Who has taken a number and says nothing is dead, or stopped. */
#define ORPHAN(n) (ACCEPTS && len(queue) == 0 && len(taken) == 0 && table[n] != NONE && \
    !ON_ITS_WAY(n))

inline close_orphan(n)
{
    printf("nobody has said that he has connection %d\n", table[n]);
    forfeit[table[n]] = forfeit[table[n]] || !begun[table[n]];
    close_connection(table[n]);
    table[n] = NONE
}

active proctype Acceptor()
{
end:
    do
    :: d_step { acceptor == ACCEPT && arrived > accepted &&
               (table[0] == NONE || table[1] == NONE || table[M-1] == NONE) ->
        printf("the acceptor accepts connection %d\n", accepted);
        demand(doing == RUN || doing == STOP || killed, accepted_at_the_end);
        hand = accepted;
        accepted++;
        descriptors[hand] = 1;
#ifdef CLOSED_BEFORE_SENT
        close_connection(hand);
#endif
        acceptor = PUT }
    :: d_step { acceptor == PUT && second_ends > 0 && len(queue) < ROOM ->
        printf("the acceptor puts connection %d into the queue\n", hand);
#ifdef NUMBERS
        w = 0; /* its number: accept takes the lowest */
        do
        :: table[w] != NONE -> w++
        :: else -> break
        od;
        table[w] = hand;
        queue!hand,w,generation;
        w = 0;
        hand = NONE;
#else
        descriptors[hand]++;
        queue!hand,0,0;
#endif
        acceptor = CLOSE }
#ifdef DROPPED_WHEN_FULL
    :: d_step { acceptor == PUT && len(queue) == ROOM ->
        close_connection(hand);
        hand = NONE;
        acceptor = ACCEPT }
#endif
    :: d_step { acceptor == PUT && second_ends == 0 -> /* EPIPE */
        acceptor_ends() }
    :: d_step { acceptor == CLOSE ->
#ifndef COPY_KEPT
        if
        :: hand != NONE -> close_connection(hand)
        :: else
        fi;
#endif
        hand = NONE;
        acceptor = ACCEPT;
        if
        :: has_second -> has_second = false; close_second()
        :: else
        fi }

#ifdef NUMBERS
    :: d_step { ACCEPTS && len(taken) > 0 ->
        taken?x,y,z;
#ifdef NUMBER_ALONE_IS_TOLD
        x = table[y];
#endif
        if
        :: table[y] != NONE && table[y] == x -> close_connection(x); table[y] = NONE
        :: else
        fi;
        x = 0; y = 0; z = 0 }
    :: d_step { ORPHAN(0) -> close_orphan(0) }
    :: d_step { ORPHAN(1) -> close_orphan(1) }
    :: d_step { ORPHAN(M-1) -> close_orphan(M-1) }
#endif

    :: d_step { ACCEPTS && deaths > 0 ->
        deaths--;
        acceptor_ends() }
#ifndef NO_SIGNAL
    :: d_step { ACCEPTS && doing == OVER -> /* PR_SET_PDEATHSIG */
        acceptor_ends() }
#endif
    od
}

/* ---- the supervisor: run, end_all ---- */

active proctype Supervisor()
{
end:
    do
    :: d_step { doing == RUN && (process[0] == NONE || process[N-1] == NONE) && started < K ->
        w = 0;
        do
        :: process[w] != NONE -> w++
        :: else -> break
        od;
        printf("the supervisor starts worker %d\n", started);
        process[w] = started;
        at[started] = FORKED;
        has_first[started] = true;
        first_ends++;
        second_ends++;
        started++;
        w = 0 }
    :: d_step { doing == RUN && acceptor == GONE ->
        printf("the supervisor starts an acceptor\n");
        acceptor = ACCEPT;
        generation++;
        has_second = true;
        first_ends++;
        second_ends++ }
#ifndef ACCEPTOR_NOT_REPLACED
    :: d_step { doing == RUN && acceptor == DEAD -> acceptor = GONE }
#endif
    :: d_step { doing == RUN && process[0] < K && at[process[0]] == ZOMBIE ->
        at[process[0]] = REAPED;
        process[0] = NONE }
    :: d_step { doing == RUN && process[N-1] < K && at[process[N-1]] == ZOMBIE ->
        at[process[N-1]] = REAPED;
        process[N-1] = NONE }

    /* end_all: SIGTERM to the acceptor first, then to the workers; lose_queue */
    :: d_step { doing == STOP ->
#ifndef ACCEPTOR_NOT_ENDED
        if
        :: ACCEPTS -> acceptor_ends()
        :: else
        fi;
#endif
        doing = STOPPED }
    :: d_step { doing == STOPPED ->
        w = 0;
        do
        :: w < K ->
            if
            :: ALIVE(w) -> worker_ends(w)
            :: else
            fi;
            w++
        :: else -> break
        od;
        w = 0;
        doing = OVER;
        first_ends--;
        close_second() }
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
#ifdef ENDING
    :: d_step { doing == RUN ->
        printf("stop becomes readable\n");
        doing = STOP }
    :: d_step { doing != OVER && !killed ->
        printf("kill -9 of the supervisor\n");
        killed = true;
        doing = OVER;
        first_ends--;
        close_second() }
#endif
    od
}

/* ---- what must be true when nothing can go on ---- */

active proctype Auditor()
{
    timeout;
    d_step {
        y = 0; /* held, and so not to be had */
        z = 0; /* alive */
        w = 0;
        do
        :: w < K ->
            y = y + (at[w] == HELD);
            z = z + ALIVE(w);
            w++
        :: else -> break
        od;
        demand(doing == OVER || z == N, worker_missing);
        demand(doing == OVER || ACCEPTS, client_forgotten);
        demand(doing != OVER || !ACCEPTS, acceptor_outlives);
        demand(doing != OVER || z == 0, worker_outlives);
        demand(doing == OVER || y == N || accepted == C, client_forgotten);
        demand(first_ends == (doing == OVER -> 0 : 2), descriptor_left_open);
        demand(second_ends == (doing == OVER -> 0 : 1 + N + has_second), descriptor_left_open);
        x = 0;
        do
        :: x < accepted ->
            demand(doing == OVER || y == N || finished[x] || forfeit[x] || held[x],
                   client_forgotten);
            demand(y == N || descriptors[x] == (held[x] && !forfeit[x]), descriptor_left_open);
            x++
        :: else -> break
        od;
        w = 0; x = 0; y = 0; z = 0
    }
}
