/*
 * The hand-over protocol of chapters/04-prefork-select/pool.c, for spin.
 *
 * A master, N places for workers, C connections. From outside come clients, D deaths of workers,
 * and, with ENDING, a stop or the master's death (kill -9), each at any step. README.md says what
 * is proved and what is left out; check.sh runs it all.
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
#define SHORT 0 /* calls that fail since descriptors or memory have run out, at most */
#endif
#ifndef REFUSE
#define REFUSE 0 /* workers that cannot start, at most */
#endif
#define K    (N + D) /* workers that are ever started: each one lost has a successor */
#define NONE 255

mtype = { VACANT, STARTING, IDLE, BUSY }; /* a place, as in struct worker */
mtype = { I_AM_IDLE, CANNOT_START };      /* a report: 0, and any other byte */

/* Where the master is, by the function of pool.c. */
mtype = { FILL_PLACES, WORKER_START, WAIT_READABLE, WORKER_REPORT, ACCEPT_CONNECTION, HAND_OVER,
          CLOSE_COPY, WORKERS_END, OVER };

/* Where a worker is. HELD: in serve(), with a client that never lets go. */
mtype = { UNBORN, FORKED, START, REPORT, READ_FD, SERVE, HELD, LEAVE, ZOMBIE, REAPED };
#define ALIVE(k) (at[k] != UNBORN && at[k] != ZOMBIE && at[k] != REAPED)

/* ---- the kernel: who holds which open file description, and what is on its way ---- */

chan up[K] = [2] of { mtype };  /* reports: the queue of the master's end of channel k */
chan down[K] = [2] of { byte }; /* connections: the queue of the worker's end of channel k */
byte master_end[K];             /* descriptors of the master's end of channel k ... */
byte worker_end[K];             /* ... of its worker's end */
byte descriptors[C];            /* ... of connection x; a copy on its way in `down` counts */
byte listeners = 1;             /* ... of the listener */
byte arrived;                   /* connections 0 to arrived-1 have come to the backlog ... */
byte accepted;                  /* ... and 0 to accepted-1 have left it */

/* ---- the workers; number k has channel k ---- */

mtype at[K] = UNBORN;
byte serves[K] = NONE;          /* its connection */
byte inherited_ends[K];         /* got by fork, not closed yet: masters' ends, one bit each ... */
byte inherited_connection[K] = NONE;
bool inherited_listener[K];
bool resigned[K];               /* it has ended by itself before its first report */
bool begun[C], finished[C];     /* connection x */
bool forfeit[C];                /* the worker that had connection x has died */

/* ---- the master: struct pool, struct worker ---- */

mtype doing = FILL_PLACES;
mtype state[N] = VACANT;
byte channel[N];                /* and so which worker */
byte connection = NONE;         /* accepted but not yet handed over */
byte vacant = N;
byte idle;
bool ready, exhausted, failed;
byte started;                   /* workers so far: the number of the next */
byte new_pair = NONE;           /* a channel of which the master still has both ends */
byte place;                     /* the one at work */
byte readable;                  /* what select has said of the channels, one bit a place ... */
bool at_listener;               /* ... and of the listener */
bool waited;                    /* fill_at has passed */

/* ---- from outside ---- */

bool stop;                      /* pool_config.stop is readable */
bool killed;                    /* kill -9 of the master */
bool told;                      /* SIGTERM to the workers */
byte deaths = D;
byte shortages = SHORT;
byte refusals = REFUSE;
bool hangs;                     /* one worker has a client that never lets go */

/* ---- what is asserted; spin shows the name of the one that fails ---- */

bool served_twice, connection_lost, accepted_without_idle, live_worker_replaced, master_died;
bool deadlock, client_forgotten, worker_missing, worker_outlives_master, zombie_left;
bool descriptor_left_open;

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
    demand(descriptors[which] > 0 || finished[which] || forfeit[which] || doing == WORKERS_END ||
           doing == OVER, connection_lost)
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

/* A worker ends, whyever: the kernel closes all that it has. */
inline worker_ends(k)
{
    printf("worker %d ends\n", k);
    at[k] = ZOMBIE;
    close_inherited(k);
    if
    :: serves[k] != NONE ->
        forfeit[serves[k]] = true;
        close_connection(serves[k])
    :: else
    fi;
    serves[k] = NONE;
    close_worker_end(k)
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
        :: state[w] != VACANT -> close_master_end(channel[w])
        :: else
        fi;
        state[w] = VACANT;
        channel[w] = 0;
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
    new_pair = NONE; connection = NONE; idle = 0; vacant = N; place = 0; readable = 0;
    at_listener = false; waited = false; exhausted = false; failed = false
}

/* ---- a worker: worker_begin, pool_work, pool_cannot_start ---- */

active [K] proctype Worker()
{
    byte k = _pid;

end:
    do
    :: d_step { at[k] == FORKED -> /* close(channel[0]), and what worker_begin closes */
        at[k] = (refusals > 0 -> START : REPORT);
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

    :: d_step { (at[k] == START || at[k] == REPORT) && master_end[k] > 0 ->
        printf("worker %d reports: I am idle\n", k);
        up[k]!I_AM_IDLE;
        at[k] = READ_FD }
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
                (at[k] == START || at[k] == REPORT || (at[k] == READ_FD && len(down[k]) == 0))) ->
        worker_ends(k) }

    /* kill from outside, or SIGTERM from workers_end */
    :: d_step { ALIVE(k) && (deaths > 0 || told) ->
        deaths = (told -> deaths : deaths - 1);
        printf("worker %d is killed\n", k);
        worker_ends(k) }
    od
}

/* ---- the master: pool_run ---- */

#define READABLE(i) (state[i] != VACANT && \
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

#define READY (ANY_CHANNEL || (LISTENS && arrived > accepted))

/* workers_end up to the SIGTERM; before it pool_run closes a connection that was kept. */
inline end_pool()
{
    printf("the master ends the pool\n");
    doing = WORKERS_END;
    if
    :: connection != NONE -> close_connection(connection)
    :: else
    fi;
    connection = NONE;
    place = 0;
    told = true
}

inline next_round()
{
    ready = ready || idle == N;
    place = 0;
    if
    :: failed -> end_pool()
    :: else -> doing = (vacant > 0 -> FILL_PLACES : WAIT_READABLE)
    fi;
    at_listener = false
}

/* The order of run(): all reports, then accept, then hand over. */
inline go_on()
{
    if
    :: readable != 0 -> doing = WORKER_REPORT
    :: readable == 0 && at_listener && STILL_IDLE -> doing = ACCEPT_CONNECTION
    :: readable == 0 && connection != NONE && idle > 0 && RETRIES -> doing = HAND_OVER
    :: else -> next_round()
    fi;
    place = 0
}

/* SIGKILL, waitpid, close, and the place is free. */
inline worker_lost(i)
{
    printf("the master has lost worker %d\n", channel[i]);
    failed = failed || (state[i] == STARTING && resigned[channel[i]]);
    demand(!ALIVE(channel[i]), live_worker_replaced);
#ifndef NOT_REAPED
    at[channel[i]] = REAPED;
#endif
    if
    :: state[i] == IDLE -> idle--
    :: else
    fi;
    close_master_end(channel[i]);
    state[i] = VACANT;
    channel[i] = 0;
#ifndef NOT_REPLACED
    vacant++
#endif
}

active proctype Master()
{
end:
    do
    :: d_step { doing == FILL_PLACES && started >= N && !waited -> /* fill_at is yet to come */
        doing = WAIT_READABLE }
    :: d_step { doing == FILL_PLACES && shortages > 0 -> /* socketpair or fork fails */
        shortages--;
        failed = !ready;
        waited = false;
        doing = WAIT_READABLE }
    :: d_step { doing == FILL_PLACES -> /* worker_start: socketpair, fork */
        demand(started < K, live_worker_replaced);
        printf("the master forks worker %d\n", started);
        waited = true; /* and so this goes on until no place is vacant */
        new_pair = started;
        at[started] = FORKED;
        master_end[started] = 2;
        worker_end[started] = 2;
        bits = 1 << started;
        w = 0;
        do
        :: w < N ->
            if
            :: state[w] != VACANT ->
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
        :: state[w] != VACANT -> w++
        :: else -> break
        od;
        state[w] = STARTING;
        channel[w] = new_pair;
        new_pair = NONE;
        vacant--;
        waited = vacant > 0;
        doing = (vacant > 0 -> FILL_PLACES : WAIT_READABLE) }

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
        exhausted = false;
        go_on() }
    :: d_step { doing == WAIT_READABLE && !stop && !READY && (vacant > 0 || exhausted) ->
        waited = vacant > 0; /* a moment has passed; a step only when something comes of it */
        exhausted = false;
        go_on() }

    :: d_step { doing == WORKER_REPORT ->
        do
        :: !(readable & (1 << place)) -> place++
        :: else -> break
        od;
        readable = readable & ~(1 << place);
        x = len(up[channel[place]]);
        r = 0;
        do
        :: len(up[channel[place]]) > 0 -> up[channel[place]]?r
        :: else -> break
        od;
        if
        :: x == 1 && r == I_AM_IDLE && state[place] != IDLE ->
            printf("the master reads: worker %d is idle\n", channel[place]);
            state[place] = IDLE;
            idle++
        :: x == 1 && r == CANNOT_START && state[place] == STARTING ->
            failed = true
#ifdef EOF_IGNORED
        :: x == 0
#endif
        :: else -> worker_lost(place)
        fi;
        x = 0;
        r = 0;
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
            worker_lost(place);
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

    :: d_step { doing == WORKERS_END && place < N -> /* waitpid, or SIGKILL and waitpid; close */
        if
        :: state[place] != VACANT ->
            if
            :: ALIVE(channel[place]) -> worker_ends(channel[place])
            :: else
            fi;
            at[channel[place]] = REAPED;
            close_master_end(channel[place]);
            state[place] = VACANT;
            channel[place] = 0
        :: else
        fi;
        place++ }
    :: d_step { doing == WORKERS_END && place == N ->
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
    :: d_step { doing != OVER ->
        printf("kill -9 of the master\n");
        killed = true;
        master_ends() }
#endif
    od
}

/* ---- what must be true when nothing can go on ---- */

active proctype Auditor()
{
    timeout;
    d_step {
        demand(doing == OVER || doing == WAIT_READABLE, deadlock);
        w = 0;
        do
        :: w < N ->
            demand(doing == OVER || state[w] != VACANT, worker_missing);
            demand(doing == OVER || state[w] == IDLE || at[channel[w]] == HELD, deadlock);
            w++
        :: else -> break
        od;
        demand(doing == OVER || (connection == NONE && accepted == C), client_forgotten);
        demand(doing != OVER || killed || told, master_died);
        demand(listeners == (doing == OVER -> 0 : 1), descriptor_left_open);
        w = 0;
        do
        :: w < K ->
            demand(!ALIVE(w) || at[w] == READ_FD || at[w] == HELD, deadlock);
            demand(doing != OVER || !ALIVE(w) || (killed && at[w] == HELD), worker_outlives_master);
            demand(at[w] != ZOMBIE || killed, zombie_left);
            demand(worker_end[w] == (ALIVE(w) -> 1 : 0), descriptor_left_open);
            demand(master_end[w] == (ALIVE(w) && doing != OVER -> 1 : 0), descriptor_left_open);
            if
            :: at[w] == HELD -> descriptors[serves[w]]-- /* the only one that may be */
            :: else
            fi;
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

#define ENDED(k) (!ALIVE(k) || (killed && at[k] == HELD))
#if K == 3
#define ALL_ENDED (doing == OVER && ENDED(0) && ENDED(1) && ENDED(2))
#elif K == 4
#define ALL_ENDED (doing == OVER && ENDED(0) && ENDED(1) && ENDED(2) && ENDED(3))
#else
#define ALL_ENDED (doing == OVER && ENDED(0) && ENDED(1) && ENDED(2) && ENDED(3) && ENDED(4))
#endif

ltl ends { [] ((stop || doing == OVER) -> <> ALL_ENDED) }
