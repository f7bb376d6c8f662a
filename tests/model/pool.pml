/*
 * The pool of chapters/04-prefork-select, pool.c and workers.c, for spin.
 *
 * A master, N places for workers, C connections. From outside come clients, D deaths of workers,
 * whatever else workers may do (below, each so often at most), and, with ENDING, a stop or the
 * master's death (kill -9), each at any step. README.md says what is proved and what is left out;
 * check.sh runs it all.
 *
 * Every process is a loop of steps. A step is a d_step: one system call, or several whose order
 * nobody else can see. Each name in an #ifdef but ENDING puts one fault in.
 */
#ifndef N
#define N 3     /* places: pool_config.workers */
#endif
#ifndef C
#define C 2     /* connections */
#endif
#ifndef D
#define D 1     /* workers that die */
#endif
#ifndef SHORT
#define SHORT 0 /* calls that fail since descriptors or memory have run out */
#endif
#ifndef REFUSE
#define REFUSE 0 /* workers that cannot start */
#endif
#ifndef HANG
#define HANG 0 /* workers that do not report when they have started: late, or never */
#endif
#ifndef CLOSE
#define CLOSE 0 /* workers that close their channel, and live on */
#endif
#ifndef HELP
#define HELP 0 /* workers with a helper process, which keeps a copy of their end for ever */
#endif
#ifndef TRACE
#define TRACE 0 /* workers whose death somebody hides who traces them: for a while, or for ever */
#endif
#define K    (N + D + REFUSE + HANG + CLOSE) /* workers that are ever started */
#define NONE 255

mtype = { GONE, STARTING, IDLE, BUSY };   /* as in struct worker */
mtype = { I_AM_IDLE, CANNOT_START };      /* a report: 0, and any other byte */

/* Where the master is, by the function of pool.c; workers_close is of workers.c. */
mtype = { FILL_PLACES, WORKER_START, WAIT_READABLE, WORKER_REPORT, FIND_DEAD, LOOK_AT_PLACES,
          CLEAR, ACCEPT_CONNECTION, HAND_OVER, CLOSE_COPY, WORKERS_CLOSE, OVER };

/* Where a worker is. HELD: in serve(), with a client that never lets go. HUNG: before its first
 * report, for ever. CLOSED: without its channel. */
mtype = { UNBORN, FORKED, START, REPORT, LATE, HUNG, READ_FD, SERVE, HELD, LEAVE, CLOSED, ZOMBIE,
          REAPED };
#define ALIVE(k) (at[k] != UNBORN && at[k] != ZOMBIE && at[k] != REAPED)
#define HAS_CHANNEL(k) (ALIVE(k) && at[k] != CLOSED)

mtype = { NOBODY, FOR_A_WHILE, FOR_EVER }; /* who hides a worker's death */

/* ---- the kernel: who holds which open file description, and what is on its way ---- */

chan up[K] = [2] of { mtype };  /* reports: the queue of the master's end of channel k */
chan down[K] = [2] of { byte }; /* connections: the queue of the worker's end of channel k */
byte master_end[K];             /* descriptors of the master's end of channel k ... */
byte worker_end[K];             /* ... of its worker's end */
byte descriptors[C];            /* ... of connection x; a copy on its way in `down` counts */
byte listeners = 1;             /* ... of the listener */
byte arrived;                   /* connections 0 to arrived-1 have come to the backlog ... */
byte accepted;                  /* ... and 0 to accepted-1 have left it */
bool sigchld;                   /* is pending: the descriptor of deaths is readable */

/* ---- the workers; number k has channel k ---- */

mtype at[K] = UNBORN;
byte serves[K] = NONE;          /* its connection */
byte inherited_ends[K];         /* got by fork, not closed yet: masters' ends, one bit each ... */
byte inherited_connection[K] = NONE;
bool inherited_listener[K];
bool resigned[K];               /* it has ended by itself before its first report */
bool helper[K];                 /* a process that is not its child any more has its end, too */
mtype hidden_by[K] = NOBODY;    /* dead, waitpid says: it runs */
bool let_go[K];                 /* hidden no more, but too late for the pool */
bool begun[C], finished[C];     /* connection x */
bool forfeit[C];                /* the worker that had connection x has died */

/* ---- the master: struct pool, worker, place, workers; a set of places has a bit for each ---- */

mtype doing = FILL_PLACES;
mtype state[N] = GONE;
byte channel[N];                /* and so which worker */
byte process[N] = NONE;         /* in this place; NONE: it is vacant */
byte unwatched;                 /* STARTING, and its channel has said end-of-file */
byte due = (1 << N) - 1;        /* vacant, and to be filled now */
byte dismissed, pressed;        /* is to die; has had its SIGKILL */
byte unreaped;                  /* workers, a bit each, that have left their places */
byte connection = NONE;         /* accepted but not yet handed over */
byte idle;
byte were_idle;                 /* places in which a worker has been idle */
bool ready, exhausted, failed;
byte started;                   /* workers so far: the number of the next */
byte new_pair = NONE;           /* a channel of which the master still has both ends */
byte place;                     /* the one at work */
byte readable;                  /* what select has said of the channels ... */
bool at_listener, at_deaths;    /* ... and of these */

/* ---- from outside ---- */

bool stop;                      /* pool_config.stop is readable */
bool killed;                    /* kill -9 of the master ... */
bool spared;                    /* ... will not come */
bool told;                      /* SIGTERM to the workers */
byte deaths = D;
byte shortages = SHORT;
byte refusals = REFUSE;
byte hangings = HANG;
byte closings = CLOSE;
byte helpers = HELP;
byte tracers = TRACE;
bool hangs;                     /* one worker has a client that never lets go */

/* ---- what is asserted; spin shows the name of the one that fails ---- */

bool served_twice, connection_lost, accepted_without_idle, live_worker_replaced, master_died;
bool deadlock, client_forgotten, worker_missing, worker_outlives_master, zombie_left;
bool descriptor_left_open, pool_given_up, reason_lost;

inline demand(condition, name)
{
    if
    :: (condition)
    :: else -> name = true; assert(!name)
    fi
}

/* ---- closing: the last descriptor of an end releases what waits in that end's queue ---- */

hidden byte w, x, y, bits; /* scratch: of no meaning between steps */
hidden mtype r;

inline close_connection(which)
{
    descriptors[which]--;
    demand(descriptors[which] > 0 || finished[which] || forfeit[which] ||
           doing == WORKERS_CLOSE || doing == OVER, connection_lost)
}

inline close_master_end(which)
{
    master_end[which]--;
    do
    :: master_end[which] == 0 && len(up[which]) > 0 -> up[which]?r
    :: else -> break
    od;
    r = 0
}

inline close_worker_end(which)
{
    worker_end[which]--;
    do
    :: worker_end[which] == 0 && len(down[which]) > 0 ->
        down[which]?x;
        forfeit[x] = true;
        close_connection(x)
    :: else -> break
    od;
    x = 0
}

inline close_inherited(k)
{
    y = 0;
    do
    :: y < K ->
        if
        :: inherited_ends[k] & (1 << y) -> close_master_end(y)
        :: else
        fi;
        y++
    :: else -> break
    od;
    inherited_ends[k] = 0;
    if
    :: inherited_connection[k] != NONE -> close_connection(inherited_connection[k])
    :: else
    fi;
    inherited_connection[k] = NONE;
    if
    :: inherited_listener[k] -> listeners--
    :: else
    fi;
    inherited_listener[k] = false
}

/* A worker ends, whyever: the kernel closes all that it has, and sends SIGCHLD. */
inline worker_ends(k)
{
    printf("worker %d ends\n", k);
    close_inherited(k);
    if
    :: serves[k] != NONE ->
        forfeit[serves[k]] = true;
        close_connection(serves[k])
    :: else
    fi;
    serves[k] = NONE;
    if
    :: at[k] != CLOSED -> close_worker_end(k)
    :: else
    fi;
    /* What waits in its queue, its helper will not take. */
    if
    :: len(down[k]) > 0 -> down[k]?<x>; forfeit[x] = true; x = 0
    :: else
    fi;
    at[k] = ZOMBIE;
    sigchld = sigchld || (hidden_by[k] == NOBODY && doing != OVER)
}

/* The master ends, whyever. */
inline master_ends()
{
    printf("the master ends\n");
    doing = OVER;
    w = 0;
    do
    :: w < N ->
        if
        :: state[w] != GONE -> close_master_end(channel[w])
        :: else
        fi;
        state[w] = GONE;
        channel[w] = 0;
        process[w] = NONE;
        w++
    :: else -> break
    od;
    if
    :: new_pair != NONE ->
        close_master_end(new_pair);
        close_worker_end(new_pair)
    :: else
    fi;
    if
    :: connection != NONE -> close_connection(connection)
    :: else
    fi;
    listeners--;
    new_pair = NONE; connection = NONE; idle = 0; place = 0; readable = 0;
    unwatched = 0; due = 0; dismissed = 0; pressed = 0; unreaped = 0;
    at_listener = false; at_deaths = false; sigchld = false; exhausted = false; failed = false
}

/* ---- a worker: worker_begin, pool_work, pool_cannot_start ---- */

active [K] proctype Worker()
{
    byte k = _pid;

end:
    do
    :: d_step { at[k] == FORKED -> /* close(channel[0]), and what worker_begin closes */
        at[k] = (refusals + hangings > 0 -> START : REPORT);
        bits = 0;
#ifdef SIBLINGS_KEPT
        bits = inherited_ends[k] & ~(1 << k);
#endif
#ifdef OWN_END_KEPT
        bits = 1 << k;
#endif
        inherited_ends[k] = inherited_ends[k] & ~bits;
        y = NONE;
#ifdef CONNECTION_KEPT
        y = inherited_connection[k];
        inherited_connection[k] = NONE;
#endif
        w = y;
        close_inherited(k);
        inherited_connection[k] = w;
        inherited_ends[k] = bits }

    :: d_step { (at[k] == START || at[k] == REPORT || at[k] == LATE) && master_end[k] > 0 ->
        printf("worker %d reports: I am idle\n", k);
        up[k]!I_AM_IDLE;
        at[k] = READ_FD }
    :: d_step { at[k] == START && hangings > 0 ->
        printf("worker %d hangs\n", k);
        hangings--;
        at[k] = HUNG }
    :: d_step { at[k] == START && hangings > 0 ->
        printf("worker %d is late\n", k);
        hangings--;
        at[k] = LATE }
    :: d_step { at[k] == START && refusals > 0 ->
        printf("worker %d reports: I cannot start\n", k);
        refusals--;
        if
        :: master_end[k] > 0 -> up[k]!CANNOT_START
        :: else
        fi;
        at[k] = LEAVE }
    :: d_step { at[k] == START && refusals > 0 -> /* not so much as a report */
        refusals--;
        resigned[k] = true;
        worker_ends(k) }

    :: d_step { at[k] == READ_FD && len(down[k]) > 0 -> /* the copy on its way is this worker's */
        down[k]?x;
        printf("worker %d receives connection %d\n", k, x);
        demand(!begun[x], served_twice);
        begun[x] = true;
        serves[k] = x;
        at[k] = SERVE;
        x = 0 }

    :: d_step { at[k] == SERVE -> /* serve, close */
        printf("worker %d has served connection %d\n", k, serves[k]);
        finished[serves[k]] = true;
        close_connection(serves[k]);
        serves[k] = NONE;
#ifdef SILENT_WORKER
        at[k] = READ_FD
#else
        at[k] = REPORT
#endif
        }
    :: d_step { at[k] == SERVE && !hangs ->
        printf("worker %d serves connection %d for ever\n", k, serves[k]);
        hangs = true;
        at[k] = HELD }

    /* EPIPE or ECONNRESET from report; end-of-file from read_fd; after pool_cannot_start */
    :: d_step { at[k] == LEAVE || (master_end[k] == 0 &&
                (at[k] == START || at[k] == REPORT || at[k] == LATE ||
                 (at[k] == READ_FD && len(down[k]) == 0))) ->
        worker_ends(k) }

    :: d_step { closings > 0 && HAS_CHANNEL(k) && at[k] != FORKED ->
        printf("worker %d closes its channel\n", k);
        closings--;
        close_worker_end(k);
        if
        :: serves[k] != NONE -> forfeit[serves[k]] = true; close_connection(serves[k])
        :: else
        fi;
        serves[k] = NONE;
        at[k] = CLOSED }
    :: d_step { helpers > 0 && HAS_CHANNEL(k) && at[k] != FORKED ->
        printf("worker %d has a helper\n", k);
        helpers--;
        helper[k] = true;
        worker_end[k]++ }
    :: d_step { tracers > 0 && ALIVE(k) ->
        tracers--;
        hidden_by[k] = FOR_A_WHILE }
    :: d_step { tracers > 0 && ALIVE(k) ->
        tracers--;
        hidden_by[k] = FOR_EVER }
    :: d_step { hidden_by[k] == FOR_A_WHILE && at[k] == ZOMBIE ->
        printf("the tracer lets go of worker %d\n", k);
        hidden_by[k] = NOBODY;
        let_go[k] = doing == WORKERS_CLOSE || doing == OVER;
        sigchld = doing != OVER }

    /* kill from outside, or SIGTERM from end_all */
    :: d_step { ALIVE(k) && (deaths > 0 || told) ->
        deaths = (told -> deaths : deaths - 1);
        printf("worker %d is killed\n", k);
        worker_ends(k) }
    od
}

/* ---- the master: pool_run ---- */

#define READABLE(i) (state[i] != GONE && !(unwatched & (1 << i)) && \
    (len(up[channel[i]]) > 0 || worker_end[channel[i]] == 0))
#if N == 2
#define ANY_CHANNEL (READABLE(0) || READABLE(1))
#else
#define ANY_CHANNEL (READABLE(0) || READABLE(1) || READABLE(2))
#endif

#ifdef OVERLOAD_DROPPED
#define LISTENS (ready && connection == NONE && !exhausted)
#else
#define LISTENS (ready && idle > 0 && connection == NONE && !exhausted)
#endif
/* The last idle worker may have been lost since select looked. */
#if defined(OVERLOAD_DROPPED) || defined(STALE_ACCEPT)
#define STILL_IDLE true
#else
#define STILL_IDLE (idle > 0)
#endif

#ifdef KEPT_FORGOTTEN
#define RETRIES (doing == ACCEPT_CONNECTION || doing == HAND_OVER)
#else
#define RETRIES true
#endif

#define READY (ANY_CHANNEL || sigchld || (LISTENS && arrived > accepted))

/* The end of pool_run, up to the SIGTERM of end_all. */
inline end_pool()
{
    printf("the master ends the pool\n");
    demand(stop || !ready, pool_given_up);
    doing = WORKERS_CLOSE;
    if
    :: connection != NONE -> close_connection(connection)
    :: else
    fi;
    connection = NONE;
    w = 0;
    do
    :: w < N ->
        if
        :: state[w] != GONE -> close_master_end(channel[w])
        :: else
        fi;
        state[w] = GONE;
        channel[w] = 0;
        w++
    :: else -> break
    od;
    place = 0;
    told = true
}

inline next_round()
{
#ifndef READY_THOUGH_FAILED
    if
    :: failed
    :: else -> ready = ready || were_idle == (1 << N) - 1
    fi;
#else
    ready = ready || were_idle == (1 << N) - 1;
#endif
    place = 0;
    if
    :: failed -> end_pool()
    :: else -> doing = FILL_PLACES
    fi;
    at_listener = false
}

/* The order of run(): all reports, the dead, then accept, then hand over. */
inline go_on()
{
    if
    :: readable != 0 -> doing = WORKER_REPORT
    :: readable == 0 && at_deaths -> doing = FIND_DEAD
    :: readable == 0 && !at_deaths && at_listener && STILL_IDLE -> doing = ACCEPT_CONNECTION
    :: readable == 0 && !at_deaths && !(at_listener && STILL_IDLE) &&
       connection != NONE && idle > 0 && RETRIES -> doing = HAND_OVER
    :: else -> next_round()
    fi;
    place = 0
}

/* Before ready that ends the pool. */
inline cannot_start()
{
#ifdef REPLACEMENT_DECIDES
    failed = true
#else
    failed = failed || !ready
#endif
}

inline forget(i)
{
    if
    :: state[i] == IDLE -> idle--
    :: else
    fi;
    close_master_end(channel[i]);
    state[i] = GONE;
    channel[i] = 0;
    unwatched = unwatched & ~(1 << i)
}

/* Also when the worker in the place has died; then there is nobody to dismiss. */
inline part_with(i)
{
    printf("the master parts with worker %d\n", channel[i]);
    forget(i);
    dismissed = (process[i] == NONE -> dismissed : dismissed | (1 << i))
}

/* When the pause of the place is over, FILL_PLACES chooses. */
inline vacate(i)
{
    demand(!ALIVE(process[i]), live_worker_replaced);
    process[i] = NONE;
    dismissed = dismissed & ~(1 << i);
    pressed = pressed & ~(1 << i)
}

/* Reads all that is there; more than one report breaks the protocol. */
inline worker_report(i)
{
    x = len(up[channel[i]]);
    r = 0;
    do
    :: len(up[channel[i]]) > 0 -> up[channel[i]]?r
    :: else -> break
    od;
    if
    :: x == 1 && r == I_AM_IDLE && state[i] != IDLE ->
        printf("the master reads: worker %d is idle\n", channel[i]);
        state[i] = IDLE;
        were_idle = were_idle | (1 << i);
        idle++
    :: x == 1 && r == CANNOT_START && state[i] == STARTING ->
        cannot_start();
        part_with(i)
    :: x == 0 && worker_end[channel[i]] > 0 /* EAGAIN */
#ifdef EOF_IGNORED
    :: x == 0 && worker_end[channel[i]] == 0
#else
    :: x == 0 && worker_end[channel[i]] == 0 && state[i] == STARTING ->
#ifdef EOF_WATCHED
        skip
#else
        unwatched = unwatched | (1 << i)
#endif
#endif
    :: else -> part_with(i)
    fi;
    x = 0;
    r = 0
}

inline worker_died(i)
{
    y = channel[i];
#ifndef LAST_WORDS_LOST
    if
    :: state[i] != GONE -> worker_report(i)
    :: else
    fi;
#endif
    if
    :: state[i] != GONE ->
        demand(state[i] != STARTING || len(up[y]) == 0, reason_lost);
        if
        :: state[i] == STARTING && resigned[y] -> cannot_start()
        :: else
        fi;
        forget(i)
    :: else
    fi;
    y = 0
}

#define VACANT(i) (process[i] == NONE)
#if N == 2
#define ALL_VACANT (VACANT(0) * 1 + VACANT(1) * 2)
#else
#define ALL_VACANT (VACANT(0) * 1 + VACANT(1) * 2 + VACANT(2) * 4)
#endif

/* Who may be found late: it has not reported, nor has select said that it has. */
#define HANGS(i) (state[i] == STARTING && len(up[channel[i]]) == 0 && \
    (at[channel[i]] == HUNG || at[channel[i]] == LATE || at[channel[i]] == CLOSED || \
     (at[channel[i]] == ZOMBIE && hidden_by[channel[i]] != NOBODY)))
#if N == 2
#define ANY_HANGS (HANGS(0) || HANGS(1))
#else
#define ANY_HANGS (HANGS(0) || HANGS(1) || HANGS(2))
#endif
#ifdef NO_DEADLINE_LATER
#define DEADLINE (!ready)
#else
#define DEADLINE true
#endif

/* The place of a dismissed worker: SIGKILL; and when that has not helped, it leaves its place. */
#define STAYS(i) ((pressed & (1 << i)) && hidden_by[process[i]] == NOBODY)
#define PRESSES(i) ((dismissed & (1 << i)) && !STAYS(i))
#if N == 2
#define ANY_PRESSES (PRESSES(0) || PRESSES(1))
#else
#define ANY_PRESSES (PRESSES(0) || PRESSES(1) || PRESSES(2))
#endif
#ifdef UNREAPABLE_STAYS
#undef PRESSES
#define PRESSES(i) ((dismissed & ~pressed) & (1 << i))
#endif
#ifdef NOT_DISMISSED
#undef PRESSES
#define PRESSES(i) false
#endif

#ifdef WAITPID_BLOCKS
#define BLOCKS(i) (process[i] != NONE && hidden_by[process[i]] != NOBODY)
#else
#define BLOCKS(i) false
#endif

active proctype Master()
{
end:
    do
    :: d_step { doing == FILL_PLACES && due == 0 ->
        doing = WAIT_READABLE }
    :: d_step { doing == FILL_PLACES && due != ALL_VACANT -> /* pauses may be over at any moment */
        due = ALL_VACANT }
    :: d_step { doing == FILL_PLACES && due != 0 && shortages > 0 -> /* socketpair or fork fails */
        printf("the master cannot start a worker\n");
        shortages--;
        cannot_start();
        due = 0;
        doing = WAIT_READABLE }
    :: d_step { doing == FILL_PLACES && due != 0 -> /* worker_start: socketpair, fork */
        demand(started < K, live_worker_replaced);
        printf("the master forks worker %d\n", started);
        new_pair = started;
        at[started] = FORKED;
        master_end[started] = 2;
        worker_end[started] = 2;
        bits = 1 << started;
        w = 0;
        do
        :: w < N ->
            if
            :: state[w] != GONE ->
                master_end[channel[w]]++;
                bits = bits | (1 << channel[w])
            :: else
            fi;
            w++
        :: else -> break
        od;
        inherited_ends[started] = bits;
        inherited_connection[started] = connection;
        if
        :: connection != NONE -> descriptors[connection]++
        :: else
        fi;
        inherited_listener[started] = true;
        listeners++;
        started++;
        doing = WORKER_START }
    :: d_step { doing == WORKER_START -> /* its rest: close(channel[1]) */
#ifndef WORKER_END_KEPT
        close_worker_end(new_pair);
#endif
        w = 0;
        do
        :: !(due & (1 << w)) -> w++
        :: else -> break
        od;
        state[w] = STARTING;
        channel[w] = new_pair;
        process[w] = new_pair;
        new_pair = NONE;
        due = due & ~(1 << w);
        doing = FILL_PLACES }

    :: d_step { doing == WAIT_READABLE && stop ->
        end_pool() }
    :: d_step { doing == WAIT_READABLE && !stop && READY ->
        bits = 0;
        w = 0;
        do
        :: w < N ->
            if
            :: READABLE(w) -> bits = bits | (1 << w)
            :: else
            fi;
            w++
        :: else -> break
        od;
        readable = bits;
        at_listener = LISTENS && arrived > accepted;
        at_deaths = sigchld;
        exhausted = false;
        go_on() }
    :: d_step { doing == WAIT_READABLE && !stop && !READY && (ALL_VACANT != 0 || exhausted) ->
        due = ALL_VACANT; /* a moment has passed; a step only when something comes of it */
        exhausted = false;
        go_on() }
    :: d_step { doing == WAIT_READABLE && !stop && ANY_HANGS && DEADLINE -> /* find_late_starters */
        w = 0;
        do
        :: !HANGS(w) -> w++
        :: else -> break
        od;
        printf("worker %d has not reported in time\n", channel[w]);
        cannot_start();
        part_with(w);
        next_round() }
    :: d_step { doing == WAIT_READABLE && !stop && ANY_PRESSES -> /* press; a grace is over */
        place = 0;
        do
        :: !PRESSES(place) -> place++
        :: else -> break
        od;
        if
        :: !(pressed & (1 << place)) ->
            pressed = pressed | (1 << place);
            if
            :: ALIVE(process[place]) -> worker_ends(process[place])
            :: else
            fi
        :: else ->
            printf("worker %d leaves its place\n", process[place]);
            unreaped = unreaped | (1 << process[place]);
            vacate(place)
        fi;
        place = 0;
        doing = FILL_PLACES }

    :: d_step { doing == WORKER_REPORT ->
        do
        :: !(readable & (1 << place)) -> place++
        :: else -> break
        od;
        readable = readable & ~(1 << place);
        worker_report(place);
        go_on() }

    :: d_step { doing == FIND_DEAD -> /* workers_reap: signals_next */
#ifndef CLEARED_LATE
        sigchld = false;
#endif
        doing = LOOK_AT_PLACES }
    :: d_step { doing == LOOK_AT_PLACES -> /* waitpid, worker_died; reap_others */
#ifndef NOT_REAPED_LATER
        w = 0;
        do
        :: w < K ->
            if
            :: (unreaped & (1 << w)) && at[w] == ZOMBIE && hidden_by[w] == NOBODY ->
                at[w] = REAPED;
                unreaped = unreaped & ~(1 << w)
            :: else
            fi;
            w++
        :: else -> break
        od;
#endif
        place = 0;
        do
        :: place < N ->
            if
#ifdef EOF_ONLY
            :: state[place] == GONE &&
#else
            ::
#endif
               process[place] != NONE && at[process[place]] == ZOMBIE &&
               hidden_by[process[place]] == NOBODY ->
                printf("the master reaps worker %d\n", process[place]);
#ifndef NOT_REAPED
                at[process[place]] = REAPED;
#endif
#ifndef NOT_REPLACED
                vacate(place);
#endif
                worker_died(place)
            :: else
            fi;
            place++
        :: else -> break
        od;
        w = 0;
        at_deaths = false;
#ifdef CLEARED_LATE
        doing = CLEAR }
    :: d_step { doing == CLEAR ->
        sigchld = false;
#endif
        go_on() }

    :: d_step { doing == ACCEPT_CONNECTION && shortages > 0 ->
        shortages--;
        exhausted = true;
        at_listener = false;
        go_on() }
    :: d_step { doing == ACCEPT_CONNECTION ->
        at_listener = false;
        demand(idle > 0, accepted_without_idle);
        printf("the master accepts connection %d, with %d workers idle\n", accepted, idle);
        connection = accepted;
        accepted++;
        descriptors[connection] = 1;
#ifdef OVERLOAD_DROPPED
        if
        :: idle == 0 -> close_connection(connection); connection = NONE
        :: else
        fi;
#endif
        go_on() }

    :: d_step { doing == HAND_OVER && shortages > 0 -> /* write_fd: ETOOMANYREFS and others */
        shortages--;
        exhausted = true;
        next_round() }
    :: d_step { doing == HAND_OVER ->
        do
        :: state[place] != IDLE -> place++
        :: else -> break
        od;
        if
        :: worker_end[channel[place]] > 0 -> /* write_fd duplicates the descriptor */
            printf("the master hands connection %d to worker %d\n", connection, channel[place]);
            down[channel[place]]!connection;
            descriptors[connection]++;
            state[place] = BUSY;
            idle--;
            place = 0;
            doing = CLOSE_COPY
        :: else -> /* EPIPE or ECONNRESET: the next idle worker */
#ifdef SIGPIPE_KILLS
            master_ends()
#else
#ifdef DEAD_DROPS
            close_connection(connection);
            connection = NONE;
#endif
            part_with(place);
            go_on()
#endif
        fi;
        x = 0 }
    :: d_step { doing == CLOSE_COPY ->
#ifndef HANDED_TWICE
#ifndef COPY_KEPT
        close_connection(connection);
#endif
        connection = NONE;
#endif
        next_round() }

    /* children_end: waitpid, or SIGKILL and waitpid; who is hidden is left */
    :: d_step { doing == WORKERS_CLOSE && place < N && !BLOCKS(place) ->
        if
        :: process[place] != NONE ->
            if
            :: ALIVE(process[place]) -> worker_ends(process[place])
            :: else
            fi;
            if
            :: hidden_by[process[place]] == NOBODY -> at[process[place]] = REAPED
            :: else
            fi;
            process[place] = NONE
        :: else
        fi;
        place++ }
    :: d_step { doing == WORKERS_CLOSE && place == N ->
        w = 0;
        do
        :: w < K -> /* reap_others, of workers_close */
            at[w] = ((unreaped & (1 << w)) && at[w] == ZOMBIE && hidden_by[w] == NOBODY ->
                     REAPED : at[w]);
            w++
        :: else -> break
        od;
        master_ends() }
    od
}

/* ---- what comes from outside ---- */

active proctype Outside()
{
end:
    do
    :: d_step { arrived < C && doing != OVER ->
        printf("a client connects\n");
        arrived++ }
#ifdef ENDING
    :: d_step { !stop && doing != OVER ->
        printf("stop becomes readable\n");
        stop = true }
    :: d_step { !stop && doing != OVER -> /* and nobody is to help it end */
        printf("stop becomes readable, and stays the last that happens\n");
        stop = true;
        spared = true }
    :: d_step { doing != OVER && !spared ->
        printf("kill -9 of the master\n");
        killed = true;
        master_ends() }
#endif
    od
}

/* ---- what must be true when nothing can go on ---- */

/* Of these the kernel tells the master nothing: no SIGCHLD, and no end-of-file. */
#define HIDDEN(k) (helper[k] && (at[k] == CLOSED || (at[k] == ZOMBIE && hidden_by[k] != NOBODY)))
/* In the program PR_SET_PDEATHSIG ends these. */
#define MAY_STAY(k) (killed && (at[k] == HELD || at[k] == HUNG || at[k] == CLOSED))

active proctype Auditor()
{
    timeout;
    d_step {
        demand(doing == OVER || doing == WAIT_READABLE, deadlock);
        w = 0;
        do
        :: w < N ->
            demand(doing == OVER || (state[w] != GONE && (ALIVE(channel[w]) || HIDDEN(channel[w]))),
                   worker_missing);
            demand(doing == OVER || state[w] == IDLE || at[channel[w]] == HELD ||
                   HIDDEN(channel[w]), deadlock);
            w++
        :: else -> break
        od;
        demand(doing == OVER || (connection == NONE && accepted == C), client_forgotten);
        demand(doing != OVER || killed || told, master_died);
        demand(listeners == (doing == OVER -> 0 : 1), descriptor_left_open);
        w = 0;
        do
        :: w < K ->
            demand(!ALIVE(w) || at[w] == READ_FD || at[w] == HELD || HIDDEN(w) || MAY_STAY(w),
                   deadlock);
            demand(doing != OVER || !ALIVE(w) || MAY_STAY(w), worker_outlives_master);
            demand(at[w] != ZOMBIE || killed || hidden_by[w] != NOBODY || let_go[w], zombie_left);
            demand(worker_end[w] == HAS_CHANNEL(w) + helper[w], descriptor_left_open);
            demand(master_end[w] == (doing != OVER && (state[0] != GONE && channel[0] == w ||
                   state[1] != GONE && channel[1] == w || state[N-1] != GONE && channel[N-1] == w)),
                   descriptor_left_open);
            if
            :: at[w] == HELD -> descriptors[serves[w]]-- /* the only one that may be ... */
            :: else
            fi;
            do
            :: len(down[w]) > 0 && helper[w] && !HAS_CHANNEL(w) -> /* ... or are a helper's */
                down[w]?x;
                descriptors[x]--
            :: else -> break
            od;
            w++
        :: else -> break
        od;
        x = 0;
        do
        :: x < C ->
            demand(descriptors[x] == 0, descriptor_left_open);
            x++
        :: else -> break
        od;
        x = 0
    }
}

#define ENDED(k) (!ALIVE(k) || MAY_STAY(k))
#if K == 3
#define ALL_ENDED (doing == OVER && ENDED(0) && ENDED(1) && ENDED(2))
#elif K == 4
#define ALL_ENDED (doing == OVER && ENDED(0) && ENDED(1) && ENDED(2) && ENDED(3))
#elif K == 5
#define ALL_ENDED (doing == OVER && ENDED(0) && ENDED(1) && ENDED(2) && ENDED(3) && ENDED(4))
#else
#define ALL_ENDED (doing == OVER && ENDED(0) && ENDED(1) && ENDED(2) && ENDED(3) && ENDED(4) && \
    ENDED(5))
#endif

ltl ends { [] ((stop || doing == OVER) -> <> ALL_ENDED) }
