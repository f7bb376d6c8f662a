/*
 * Fuzz target: the pool, and its places for workers, against hostile workers.
 *
 * Both run in this process, without any other. Beneath process.c, workers.c and pool.c the system
 * calls are replaced: fork keeps the worker's end of the channel here, in a player with an invented
 * process id; kill, waitpid, SIGCHLD and the clock match. The script of the fuzzer is played from
 * within the calls: what workers send, when they close and die, who holds on to what is theirs,
 * when clients connect, which calls fail. Nothing ever waits: where the pool would, the script goes
 * on, and then the clock.
 *
 * When the script is over all workers oblige that can; then every client must come to its worker,
 * every place must have one, and the run must end.
 */
#include "pool.h"
#include "fdpass.h"
#include "log.h"
#include "process.h"
#include "script.h"
#include "workers.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- the pool, with other calls beneath it ---- */

static int played_select(int count, fd_set *readable, fd_set *writable, fd_set *exceptional,
                         struct timeval *timeout);
static int played_socketpair(int domain, int type, int protocol, int pair[2]);
static int played_accept4(int listener, struct sockaddr *address, socklen_t *length, int flags);
static int played_write_fd(int channel, const void *data, size_t length, int fd);
static ssize_t played_read(int fd, void *buffer, size_t length);
static int played_close(int fd);
static int played_signalfd(int fd, const sigset_t *signals, int flags);
static int played_sigtimedwait(const sigset_t *signals, siginfo_t *info,
                               const struct timespec *timeout);
static pid_t played_fork(void);
static pid_t played_getpid(void);
static int played_kill(pid_t pid, int signal_number);
static pid_t played_waitpid(pid_t pid, int *status, int options);
static int played_waitid(idtype_t which, id_t id, siginfo_t *info, int options);
static int played_nanosleep(const struct timespec *wanted, struct timespec *left);
static int played_clock_gettime(clockid_t clock, struct timespec *now);
static ssize_t played_readlink(const char *path, char *target, size_t size);
static int played_lstat(const char *path, struct stat *status);
static void *played_calloc(size_t count, size_t size);
static void played_log_line(const char *format, ...);

#define select        played_select
#define socketpair    played_socketpair
#define accept4       played_accept4
#define write_fd      played_write_fd
#define read          played_read
#define close         played_close
#define signalfd      played_signalfd
#define sigtimedwait  played_sigtimedwait
#define fork          played_fork
#define getpid        played_getpid
#define kill          played_kill
#define waitpid       played_waitpid
#define waitid        played_waitid
#define nanosleep     played_nanosleep
#define clock_gettime played_clock_gettime
#define readlink      played_readlink
#define lstat         played_lstat
#define calloc        played_calloc
#define log_line      played_log_line
/* By their paths: the last one's name alone is this file's. */
#include "../../chapters/04-prefork-select/pool.c"
#include "../../chapters/04-prefork-select/workers.c"
#include "../../common/process.c"
#undef select
#undef socketpair
#undef accept4
#undef write_fd
#undef read
#undef close
#undef signalfd
#undef sigtimedwait
#undef fork
#undef getpid
#undef kill
#undef waitpid
#undef waitid
#undef nanosleep
#undef clock_gettime
#undef readlink
#undef lstat
#undef calloc
#undef log_line

/* ---- what is played ---- */

enum {
    MOST_STEPS = 96,
    MOST_PLAYERS = 512, /* workers in one run, one after the other */
    MOST_CLIENTS = MOST_STEPS,
    FIRST_PID = 1 << 24, /* above every real one: PID_MAX_LIMIT is 2 to the 22nd */
    NOBODY = -1,
    MOST_ROUNDS = 2000, /* of select after the script: many deadlines, a tenth of a second each */
    SERIES_MS = 10000,  /* as in log.c */
};

/* A worker, from fork until the pool has waited for it. */
struct player {
    bool stranger; /* no worker: an orphan, which has come to the pool as init, and has died */
    bool runs, reaped;
    bool faulty;     /* has given the pool a reason to end it */
    bool proved;     /* dead, and has finished a connection, which the pool can know */
    bool in_time;    /* its first report came before its deadline */
    bool refused;    /* its first report was that it cannot start */
    bool blamed;     /* it has been said that it breaks the protocol */
    bool stubborn;   /* does not mind SIGTERM, nor that the master has gone */
    bool traced;     /* dead or alive: only its tracer can wait for it */
    bool stuck;      /* asleep in the kernel: does nothing, and does not die either */
    bool was_held;   /* has been one of the two */
    bool killed;     /* by the pool, with SIGKILL */
    int status;      /* as waitpid tells it, once it does not run; of one that is stuck: will be */
    int channel;     /* its end, or -1 when it has closed it */
    int helper;      /* a copy of that, in a process that does not die with it; or -1 */
    int masters_end; /* a number only: the pool's to use and to close */
    int reports;     /* how often it has said that it is idle */
    int connections; /* how many have been handed to it */
    int64_t birth_ms;
};

struct client {
    int socket;
    bool accepted, received;
    int worker; /* that it was handed to, or NOBODY */
};

/* Calls that are to fail: the next `times`, with `error`. */
struct fault {
    int error, times;
    int64_t shortage_ms; /* when the pool was last told so that something has run out */
};

static struct play {
    struct script script;
    int steps;
    int64_t clock_ns;
    int pass;         /* moments that the next select is to take */
    int events;       /* whatever may have made something readable */
    int streak;       /* calls of select, one after the other, that found something readable */
    int rounds;       /* calls of select since the script was over */
    int last_looks;   /* calls of select since the pool has said why it fails */
    bool stopped;     /* `stop` is readable */
    bool ending;      /* the pool knows that it is to end */
    bool settled;     /* it became so when every client had come to a worker, and all was well */
    bool script_over; /* and the workers oblige */
    bool high;        /* channels get numbers that select cannot watch */
    bool was_ready;
    bool init;            /* process id 1 */
    bool other_namespace; /* children would be born elsewhere */
    bool child_signal;    /* SIGCHLD is pending */
    bool read_failed;     /* so that the pool may have missed a report */
    bool select_broken;   /* it has failed for a reason that does not pass */
    bool exhausted;       /* the last call that failed said that something has run out */
    bool shortage_is_new; /* and that is to be said */
    bool start_failed;    /* it has been said that no worker can be started ... */
    int64_t start_failed_ms;
    int64_t looked_ms; /* at the last call of select */
    int64_t ending_ms; /* when the pool began to wait for the end of its workers */
    int said;          /* lines that are a reason to end */
    int retries;       /* lines that say that a place will be tried again */
    int first_reports;
    int owed; /* workers to be started at once */
    int deaths_told;
    int listener, stop, deaths;
    struct sockaddr_un address;
    socklen_t address_length;
    int pair[2]; /* the last one that the pool made */
    struct fault select, socketpair, fork, accept, write, read, signalfd;
    int allocations; /* until one fails */
    struct pool_config config;
    int players_count, clients_count;
    struct player players[MOST_PLAYERS];
    struct client clients[MOST_CLIENTS];
} play;

static int highest_limit; /* of descriptors */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct rlimit limit;

    (void)argc, (void)argv;
    DEMAND(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max < 2 * FD_SETSIZE ? limit.rlim_max : 2 * FD_SETSIZE;
    DEMAND(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    highest_limit = (int)limit.rlim_cur;
    return 0;
}

static int64_t played_ms(void)
{
    return play.clock_ns / 1000000;
}

static void let_fail(struct fault *fault, int error, int times)
{
    fault->error = error;
    fault->times = times;
}

static bool fails(struct fault *fault)
{
    if (fault->times == 0)
        return false;
    fault->times--;
    play.events++;
    errno = fault->error;
    return true;
}

/* The pool is told that something has run out. */
static void fall_short(struct fault *call)
{
    int64_t now = played_ms();

    play.exhausted = true;
    play.shortage_is_new = call->shortage_ms == 0 || now >= call->shortage_ms + SERIES_MS;
    call->shortage_ms = now;
}

static bool never_waits(int fd)
{
    return fcntl(fd, F_GETFL) & O_NONBLOCK;
}

/* Which client is at the other end: every client sends its number first. */
static struct client *client_of(int connection)
{
    uint8_t number;

    DEMAND(recv(connection, &number, 1, MSG_PEEK | MSG_DONTWAIT) == 1);
    DEMAND(number < play.clients_count);
    return &play.clients[number];
}

/* ---- workers ---- */

static struct player *player_of(pid_t pid)
{
    DEMAND(pid >= FIRST_PID && pid < FIRST_PID + play.players_count);
    return &play.players[pid - FIRST_PID];
}

/* For the calls that take a process id. */
static struct player *child(pid_t pid)
{
    struct player *player = player_of(pid);

    DEMAND(!player->reaped); /* its number may be another process's by now */
    return player;
}

static struct player *player_at(int masters_end)
{
    struct player *found = NULL;

    for (int i = 0; i < play.players_count; i++)
        if (!play.players[i].reaped && play.players[i].masters_end == masters_end)
            found = &play.players[i];
    DEMAND(found); /* else the channel is no worker's */
    return found;
}

static bool held(const struct player *player)
{
    return !player->reaped && (player->traced || player->stuck);
}

static void child_signal(void)
{
    if (play.child_signal || play.deaths == -1)
        return;
    play.child_signal = true;
    DEMAND(eventfd_write(play.deaths, 1) == 0);
}

static void close_once(int *fd)
{
    if (*fd != -1)
        close(*fd);
    *fd = -1;
}

static void player_closes(struct player *player)
{
    close_once(&player->channel);
    player->faulty = true;
}

static void player_ends(struct player *player, int status)
{
    if (!player->runs)
        return;
    player->status = status;
    if (player->stuck) {
        player->was_held = true;
        return;
    }
    player->proved = player->connections >= 2 || (!player->faulty && player->reports >= 2);
    player_closes(player);
    player->runs = false;
    if (!player->traced)
        child_signal();
}

/* Its tracer lets go of it, or what it slept for in the kernel has come. */
static void player_released(struct player *player)
{
    player->traced = player->stuck = false;
    if (player->runs && player->status != -1)
        player_ends(player, player->status);
    else if (!player->runs)
        child_signal();
}

/* Sends `count` bytes, with so many descriptors beside them; its helper does when it cannot. */
static void player_sends(struct player *player, char byte, size_t count, int descriptors)
{
    static char bytes[4096];
    int channel = player->channel != -1 ? player->channel : player->helper;
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(3 * sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = bytes, .iov_len = count};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

    if (channel == -1)
        return;
    DEMAND(count <= sizeof(bytes) && descriptors <= 3);
    memset(bytes, byte, count);
    if (descriptors > 0) {
        memset(&control, 0, sizeof(control));
        message.msg_control = control.space;
        message.msg_controllen = CMSG_SPACE((size_t)descriptors * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN((size_t)descriptors * sizeof(int));
        for (int i = 0; i < descriptors; i++)
            memcpy(CMSG_DATA(header) + (size_t)i * sizeof(int), &play.listener, sizeof(int));
    }
    bool first = player->reports == 0 && !player->faulty;
    if (byte != 0 || count > 1 || player->reports > player->connections) {
        player->faulty = true;
        if (!player
                 ->runs) /* its helper talks: what it said itself may be read together with that */
            player->proved = player->connections >= 2;
    }
    if (sendmsg(channel, &message, MSG_NOSIGNAL | MSG_DONTWAIT) <= 0)
        return;
    if (first) {
        int start_ms = play.config.start_ms ? play.config.start_ms : START_MS;
        player->in_time = played_ms() <= player->birth_ms + start_ms;
        player->refused = count == 1 && byte != 0;
        play.first_reports++;
    } else {
        player->refused = false; /* it may be read together with what came before */
    }
    if (byte == 0)
        player->reports += (int)count;
}

/* Takes one connection from its channel. Returns false when there is none. */
static bool player_receives(struct player *player)
{
    char byte;
    int connection;

    if (player->channel == -1)
        return false;
    if (read_fd(player->channel, &byte, 1, &connection) != 1)
        return false;
    DEMAND(byte == 0 && connection != -1);
    struct client *client = client_of(connection);
    DEMAND(client->worker == player - play.players && !client->received);
    client->received = true;
    close(connection);
    return true;
}

/* What a good worker does: serves what it was given, and reports when the pool awaits it. */
static void player_obliges(struct player *player)
{
    while (player_receives(player))
        continue;
    if (player->reports <= player->connections)
        player_sends(player, 0, 1, 0);
}

static void all_oblige(void)
{
    for (int i = 0; i < play.players_count; i++)
        if (play.players[i].runs && !play.players[i].stuck)
            player_obliges(&play.players[i]);
}

/* ---- clients ---- */

static void client_connects(void)
{
    uint8_t number = (uint8_t)play.clients_count;
    struct client *client = &play.clients[play.clients_count++];

    *client = (struct client){.worker = NOBODY};
    client->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    DEMAND(client->socket != -1);
    DEMAND(connect(client->socket, (struct sockaddr *)&play.address, play.address_length) == 0);
    DEMAND(send(client->socket, &number, 1, MSG_NOSIGNAL) == 1);
}

static bool client_settled(const struct client *client)
{
    if (client->received)
        return true;
    if (client->worker == NOBODY)
        return false;
    const struct player *player = &play.players[client->worker];
    return player->channel == -1 || player->stuck;
}

/* ---- the script ---- */

static void become_stopped(void)
{
    DEMAND(eventfd_write(play.stop, 1) == 0);
    play.stopped = true;
}

/* One of those that can do something, or whose helper can. */
static bool acts(const struct player *player)
{
    return !player->stranger && !player->stuck && (player->runs || player->helper != -1);
}

static struct player *chosen_player(uint8_t byte, bool (*fits)(const struct player *player))
{
    int fitting = 0;

    for (int i = 0; i < play.players_count; i++)
        fitting += fits(&play.players[i]);
    if (fitting == 0)
        return NULL;
    int which = byte % fitting;
    for (int i = 0;; i++)
        if (fits(&play.players[i]) && which-- == 0)
            return &play.players[i];
}

static void set_fault(uint8_t call, uint8_t how)
{
    static const int accept_errors[] = {EMFILE, EINVAL,       ENOBUFS, ENOMEM,
                                        EAGAIN, ECONNABORTED, ENFILE,  EPROTO};
    static const int write_errors[] = {ETOOMANYREFS, ENOBUFS,    ENOMEM, EACCES,
                                       EPIPE,        ECONNRESET, EAGAIN, ETOOMANYREFS};
    int which = how & 7, times = 1 + (how >> 3 & 7);

    switch (call % 6) {
    case 0:
        let_fail(&play.accept, accept_errors[which], times);
        break;
    case 1:
        let_fail(&play.write, write_errors[which], times);
        break;
    case 2:
        let_fail(&play.fork, which & 1 ? ENOMEM : EAGAIN, times);
        break;
    case 3:
        let_fail(&play.socketpair, which & 1 ? ENFILE : EMFILE, times);
        break;
    case 4:
        let_fail(&play.select, which < 4 ? EINTR : which < 7 ? ENOMEM : EBADF, times);
        break;
    case 5:
        let_fail(&play.read, which & 1 ? EINTR : EAGAIN, times);
        break;
    }
}

/* When a step is due: its first byte says it. */
enum moment {
    AT_REST = 0,        /* when the pool has dealt with those before */
    AT_SELECT = 1 << 6, /* at once, when it next looks */
    AT_A_CALL = 1 << 7, /* at its next call, before what that does */
};

static bool step_left(void)
{
    return play.steps < MOST_STEPS && script_left(&play.script) > 0;
}

static void next_step(void)
{
    uint8_t what = script_byte(&play.script) & 0x3f, which = script_byte(&play.script);
    struct player *player = chosen_player(which, acts);

    play.steps++;
    play.events++;
    what %= 21;
    if (!player && what >= 1 && what <= 13)
        return;
    switch (what) {
    case 0:
        all_oblige();
        break;
    case 1:
    case 2:
        if (player->runs)
            player_obliges(player);
        break;
    case 3:
        player_sends(player, 0, 1, 0);
        break;
    case 4:
        player_sends(player, (char)script_byte(&play.script), 1, 0);
        break;
    case 5: {
        size_t count = (size_t)1 + script_byte(&play.script) * 16;
        player_sends(player, (char)script_byte(&play.script), count, 0);
        break;
    }
    case 6:
        player_sends(player, 0, 1 + (which >> 7), 1 + (which >> 5) % 3);
        break;
    case 7:
        player_closes(player);
        break;
    case 8:
        player_ends(player, W_EXITCODE(script_byte(&play.script), 0));
        break;
    case 9:
        player_ends(player, W_EXITCODE(0, 1 + script_byte(&play.script) % 31));
        break;
    case 10:
        player_receives(player);
        break;
    case 11:
        player->stubborn = true;
        break;
    case 12: /* a helper begins, or lets go */
        if (player->helper != -1)
            close_once(&player->helper);
        else if (player->channel != -1)
            player->helper = fcntl(player->channel, F_DUPFD_CLOEXEC, 0);
        break;
    case 13:
        if (which & 0x80)
            player->traced = true;
        else
            player->stuck = player->runs;
        player->was_held = true;
        break;
    case 14:
        player = chosen_player(which, held);
        if (player)
            player_released(player);
        break;
    case 15:
        for (int i = 0; i <= which % 4 && play.clients_count < MOST_CLIENTS; i++)
            client_connects();
        break;
    case 16:
        if (play.clients_count > 0)
            close_once(&play.clients[which % play.clients_count].socket);
        break;
    case 17:
        if (which < 128)
            play.pass = 1 + which;
        else if (!play.ending) /* the master was stopped: time has passed unseen */
            play.clock_ns += (int64_t)(which - 127) * 150 * 1000000;
        break;
    case 18:
        if (which < 192)
            play.high = which & 1;
        else if (which >= 252)
            become_stopped();
        break;
    case 19: /* SIGCHLD: of an orphan, or of a child that was stopped */
        if (play.init && which & 1) {
            DEMAND(play.players_count < MOST_PLAYERS);
            play.players[play.players_count++] =
                (struct player){.stranger = true, .channel = -1, .helper = -1, .masters_end = -1};
        }
        child_signal();
        break;
    case 20:
        set_fault(which, script_byte(&play.script));
        break;
    }
}

/* Replaced calls begin so: with one step at most, so that the script can choose its call. */
static void call_begins(void)
{
    if (step_left() && *play.script.next & AT_A_CALL)
        next_step();
}

/* ---- the script is over ---- */

/* Nothing fails any more; there are fewer workers held than places: else none could serve; and who
 * lives and has closed its channel has no helper to hide it. */
static void make_it_possible(void)
{
    int too_many = 1 - play.config.workers;

    play.script_over = true;
    play.high = false;
    play.select.times = play.socketpair.times = play.fork.times = 0;
    play.accept.times = play.write.times = play.read.times = 0;
    play.pass = 0;
    for (int i = 0; i < play.players_count; i++)
        too_many += held(&play.players[i]);
    for (int i = 0; i < play.players_count && too_many > 0; i++)
        if (held(&play.players[i])) {
            player_released(&play.players[i]);
            too_many--;
        }
    for (int i = 0; i < play.players_count; i++)
        if (play.players[i].runs && play.players[i].channel == -1)
            close_once(&play.players[i].helper);
}

/* Every client has come to a worker, or was lost with it; nobody is left to be waited for; and
 * every place has an idle worker, but those of workers that are held and of which the pool cannot
 * know it. */
static bool all_settled(void)
{
    int idle = 0, hidden = 0;

    for (int i = 0; i < play.clients_count; i++)
        if (!client_settled(&play.clients[i]))
            return false;
    for (int i = 0; i < play.players_count; i++) {
        const struct player *player = &play.players[i];
        if (!player->runs && !player->traced && !player->reaped)
            return false;
        if (held(player) && !player->killed && (player->runs || player->helper != -1))
            hidden++;
        else if (player->runs && !player->stuck && player->channel != -1 &&
                 player->reports > player->connections)
            idle++;
    }
    return idle + hidden >= play.config.workers;
}

static void oblige(void)
{
    if (!play.script_over)
        make_it_possible();
    all_oblige();
    play.events += play.players_count;
    if (play.was_ready && !play.stopped && all_settled()) {
        play.settled = true;
        become_stopped();
    }
    DEMAND(++play.rounds < MOST_ROUNDS); /* else somebody waits for ever */
}

/* ---- the calls in which the pool waits ---- */

static int played_select(int count, fd_set *readable, fd_set *writable, fd_set *exceptional,
                         struct timeval *timeout)
{
    const fd_set asked = *readable;
    bool obliged = false;

    DEMAND(!writable && !exceptional);
    DEMAND(FD_ISSET(play.stop, readable) && FD_ISSET(play.deaths, readable));
    DEMAND(!timeout || timeout->tv_sec > 0 || timeout->tv_usec >= 1000 ||
           play.looked_ms != played_ms()); /* else it may spin */
    play.looked_ms = played_ms();
    /* Short of something it waits: the listener stays readable, and would wake it for nothing. */
    DEMAND(!play.exhausted || (timeout && !FD_ISSET(play.listener, readable)));
    DEMAND(!play.shortage_is_new); /* else it should have said so */
    DEMAND(play.owed == 0);
    play.exhausted = false;
    /* It has said why it fails: it may look once more, and then ends. */
    DEMAND(play.said == 0 || ++play.last_looks == 1);
    while (step_left() && *play.script.next & (AT_SELECT | AT_A_CALL))
        next_step();
    if (fails(&play.select)) {
        if (errno == ENOMEM)
            fall_short(&play.select);
        play.select_broken = errno == EBADF;
        return -1;
    }

    for (;;) {
        struct timeval nothing = {0};
        *readable = asked;
        int found = select(count, readable, NULL, NULL, &nothing);
        if (found == -1 && errno == EINTR) /* a timer of libFuzzer's */
            continue;
        DEMAND(found >= 0); /* else it watches what is not open */
        if (found > 0) {
            /* Each event is dealt with in a few calls, or the pool spins. */
            DEMAND(++play.streak <= 16 + 4 * play.events);
            play.ending = play.ending || FD_ISSET(play.stop, readable);
            return found;
        }
        play.streak = 0;
        if (timeout && (play.pass > 0 || obliged)) {
            int moments = play.pass > 0 ? play.pass : 1;
            play.clock_ns += moments * (timeout->tv_sec * 1000000000 + timeout->tv_usec * 1000);
            play.pass = 0;
            return 0;
        }
        play.pass = 0;
        if (step_left()) {
            next_step();
        } else {
            DEMAND(!play.stopped || !obliged); /* else it would now sleep for ever */
            oblige();
            obliged = true;
        }
    }
}

static int played_nanosleep(const struct timespec *wanted, struct timespec *left)
{
    DEMAND(!left && wanted->tv_nsec > 0);
    play.clock_ns += wanted->tv_sec * 1000000000 + wanted->tv_nsec;
    return 0;
}

static int64_t latest_end_ms(void)
{
    int grace_ms = play.config.grace_ms ? play.config.grace_ms : GRACE_MS;

    return play.ending_ms + grace_ms + REAP_MS;
}

/* In children_end only. Who reads end-of-file ends, but for those that do not. */
static int played_sigtimedwait(const sigset_t *signals, siginfo_t *info,
                               const struct timespec *timeout)
{
    DEMAND(sigismember(signals, SIGCHLD) && !info);
    DEMAND(timeout->tv_sec > 0 || timeout->tv_nsec > 0);
    if (play.ending_ms == 0)
        play.ending_ms = played_ms();
    DEMAND(played_ms() <= latest_end_ms());
    while (!play.child_signal && step_left())
        next_step();
    for (int i = 0; i < play.players_count; i++) {
        struct player *player = &play.players[i];
        char byte;
        if (player->runs && !player->stuck && !player->stubborn && player->channel != -1 &&
            recv(player->channel, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
            player_ends(player, W_EXITCODE(0, 0));
    }
    if (play.child_signal) {
        eventfd_t count;
        DEMAND(eventfd_read(play.deaths, &count) == 0);
        play.child_signal = false;
        return SIGCHLD;
    }
    play.clock_ns += timeout->tv_sec * 1000000000 + timeout->tv_nsec;
    errno = EAGAIN;
    return -1;
}

static int played_clock_gettime(clockid_t clock, struct timespec *now)
{
    DEMAND(clock == CLOCK_MONOTONIC);
    *now = (struct timespec){play.clock_ns / 1000000000, play.clock_ns % 1000000000};
    return 0;
}

/* ---- the calls with descriptors ---- */

static int played_socketpair(int domain, int type, int protocol, int pair[2])
{
    call_begins();
    if (play.owed > 0)
        play.owed--; /* it tries */
    if (fails(&play.socketpair))
        return -1;
    if (socketpair(domain, type, protocol, pair) == -1)
        return -1;
    if (play.high && highest_limit > FD_SETSIZE + 16) {
        int moved = fcntl(pair[0], F_DUPFD_CLOEXEC, FD_SETSIZE);
        DEMAND(moved != -1);
        close(pair[0]);
        pair[0] = moved;
    }
    play.pair[0] = pair[0];
    play.pair[1] = pair[1];
    return 0;
}

static int played_accept4(int listener, struct sockaddr *address, socklen_t *length, int flags)
{
    bool somebody_idle = false;

    DEMAND(listener == play.listener && never_waits(listener));
    for (int i = 0; i < play.clients_count; i++) /* the one before has gone to its worker */
        DEMAND(!play.clients[i].accepted || play.clients[i].worker != NOBODY);
    for (int i = 0; i < play.players_count; i++)
        somebody_idle = somebody_idle || (!play.players[i].reaped &&
                                          play.players[i].reports > play.players[i].connections);
    DEMAND(somebody_idle);
    call_begins();
    if (fails(&play.accept)) {
        if (errno != EAGAIN && errno != ECONNABORTED)
            fall_short(&play.accept);
        return -1;
    }
    int connection = accept4(listener, address, length, flags);
    if (connection != -1)
        client_of(connection)->accepted = true;
    return connection;
}

static int played_write_fd(int channel, const void *data, size_t length, int fd)
{
    struct player *player = player_at(channel);

    DEMAND(length == 1 && *(const char *)data == 0 && never_waits(channel));
    call_begins();
    if (fails(&play.write)) {
        if (errno == EPIPE || errno == ECONNRESET || errno == EAGAIN)
            player->faulty = true;
        else
            fall_short(&play.write);
        return -1;
    }
    int result = write_fd(channel, data, length, fd);
    if (result == 0) {
        struct client *client = client_of(fd);
        DEMAND(client->accepted && client->worker == NOBODY); /* to one worker, once */
        DEMAND(player->reports > player->connections);        /* and that one is idle */
        client->worker = (int)(player - play.players);
        player->connections++;
    }
    return result;
}

static ssize_t played_read(int fd, void *buffer, size_t length)
{
    DEMAND(never_waits(fd));
    call_begins();
    if (fd == play.deaths) {
        struct signalfd_siginfo *info = buffer;
        eventfd_t count;
        DEMAND(length >= sizeof(*info));
        if (eventfd_read(fd, &count) == -1)
            return -1;
        play.child_signal = false;
        *info = (struct signalfd_siginfo){.ssi_signo = SIGCHLD};
        return sizeof(*info);
    }
    if (!fails(&play.read))
        return read(fd, buffer, length);
    play.read_failed = true;
    return -1;
}

static int played_close(int fd)
{
    if (fd == play.deaths)
        play.deaths = -1;
    DEMAND(close(fd) == 0); /* twice closed is another's descriptor closed */
    return 0;
}

static int played_signalfd(int fd, const sigset_t *signals, int flags)
{
    DEMAND(fd == -1 && sigismember(signals, SIGCHLD) && flags == (SFD_NONBLOCK | SFD_CLOEXEC));
    if (fails(&play.signalfd))
        return -1;
    play.deaths = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return play.deaths;
}

/* ---- the calls with processes ---- */

static pid_t played_fork(void)
{
    int processes = 0;

    call_begins();
    if (fails(&play.fork))
        return -1;
    DEMAND(play.config.workers < FD_SETSIZE); /* more than select can watch */
    for (int i = 0; i < play.players_count; i++)
        processes += !play.players[i].reaped && !play.players[i].stranger;
    DEMAND(processes < 2 * play.config.workers);
    DEMAND(play.players_count < MOST_PLAYERS); /* else it starts workers in a loop */
    struct player *player = &play.players[play.players_count];
    *player = (struct player){
        .runs = true,
        .status = -1,
        .helper = -1,
        .masters_end = play.pair[0],
        .birth_ms = played_ms(),
    };
    player->channel = fcntl(play.pair[1], F_DUPFD_CLOEXEC, 0); /* as a child would have it */
    DEMAND(player->channel != -1 && fcntl(player->channel, F_SETFL, O_NONBLOCK) == 0);
    DEMAND(never_waits(player->masters_end));
    play.events++;
    return FIRST_PID + play.players_count++;
}

static pid_t played_getpid(void)
{
    return play.init ? 1 : FIRST_PID - 1;
}

static int played_kill(pid_t pid, int signal_number)
{
    struct player *player = child(pid);

    DEMAND(!player->stranger);
    call_begins();
    if (signal_number == SIGTERM) {
        DEMAND(play.stopped || play.said > 0);
    } else {
        /* Without a reason only at the end, to one that SIGTERM has not ended. */
        DEMAND(signal_number == SIGKILL);
        DEMAND(player->faulty || !player->in_time || play.read_failed || play.ending);
        player->killed = true;
    }
    if (signal_number == SIGKILL || !player->stubborn)
        player_ends(player, W_EXITCODE(0, signal_number));
    return 0;
}

static bool waited_for(struct player *player)
{
    if (player->runs || player->traced)
        return false;
    player->reaped = true;
    /* Who was killed may have left its place before. */
    if (player->proved && !player->killed && !play.read_failed)
        play.owed++;
    return true;
}

static pid_t played_waitpid(pid_t pid, int *status, int options)
{
    struct player *player = child(pid);

    DEMAND(options == WNOHANG); /* else it waits for what may never end */
    call_begins();
    if (!waited_for(player))
        return 0;
    if (status)
        *status = player->status;
    return pid;
}

static int played_waitid(idtype_t which, id_t id, siginfo_t *info, int options)
{
    (void)id;
    DEMAND(play.init && which == P_ALL && options == (WEXITED | WNOHANG | WNOWAIT));
    call_begins();
    for (int i = 0; i < play.players_count; i++) {
        const struct player *player = &play.players[i];
        if (!player->runs && !player->traced && !player->reaped) {
            info->si_pid = FIRST_PID + i;
            return 0;
        }
    }
    info->si_pid = 0;
    return 0;
}

static ssize_t played_readlink(const char *path, char *target, size_t size)
{
    bool of_children = strstr(path, "for_children");
    int length = snprintf(target, size, "pid:[%d]", of_children && play.other_namespace ? 2 : 1);

    return length;
}

static int played_lstat(const char *path, struct stat *status)
{
    (void)path, (void)status;
    return 0;
}

static void *played_calloc(size_t count, size_t size)
{
    if (play.allocations > 0 && --play.allocations == 0) {
        errno = ENOMEM;
        return NULL;
    }
    return calloc(count, size);
}

/* ---- what the pool says ---- */

static bool ends_with(const char *line, const char *end)
{
    size_t length = strlen(line), part = strlen(end);

    return length >= part && strcmp(line + length - part, end) == 0;
}

static void played_log(const char *line, void *context)
{
    struct player *player = NULL;
    int number;
    char following;

    DEMAND(context == &play && *line != '\0' && !strchr(line, '\n'));
    if (sscanf(line, "worker %d%c", &number, &following) == 2)
        player = player_of(number);
    if (strncmp(line, "descriptor ", strlen("descriptor ")) == 0 ||
        (player && strstr(line, " died of ") && !strstr(line, "before it was idle")) ||
        (player && strstr(line, " ended with ") && !strstr(line, "before it was idle"))) {
        DEMAND(play.config.verbose);
        return;
    }
    if (ends_with(line, "; clients wait")) {
        DEMAND(play.shortage_is_new);
        play.shortage_is_new = false;
        return;
    }
    if (ends_with(line, " breaks the protocol")) {
        DEMAND(player && player->faulty && !player->blamed);
        player->blamed = true;
        return;
    }
    if (player && strstr(line, "before it was idle"))
        DEMAND(player->reaped && (!player->refused || play.read_failed));
    if (player && strstr(line, "has not reported"))
        DEMAND(!player->in_time || player->faulty || play.read_failed);
    if (strncmp(line, "cannot start a worker: ", strlen("cannot start a worker: ")) == 0) {
        /* Whatever the number of places, once in a series. */
        DEMAND(play.was_ready);
        DEMAND(!play.start_failed || played_ms() >= play.start_failed_ms + SERIES_MS);
        play.start_failed = true;
        play.start_failed_ms = played_ms();
        return;
    }
    if (ends_with(line, "; will try again")) { /* once, until a worker has started there */
        DEMAND(play.was_ready && ++play.retries <= play.config.workers + play.first_reports);
        return;
    }
    play.said++;
    play.ending = true;
}

static void played_log_line(const char *format, ...)
{
    DEMAND(!format); /* all that the pool says, it gives to the one who asked for it */
}

static void played_died(pid_t worker, int status, long deaths, void *context)
{
    const struct player *player = player_of(worker);

    DEMAND(context == &play && player->reaped && player->status == status);
    DEMAND(deaths > play.deaths_told && deaths <= play.players_count);
    play.deaths_told = (int)deaths;
}

static void now_ready(void *context)
{
    DEMAND(context == &play && !play.was_ready);
    play.was_ready = true;
}

/* What a new process would do, and here is none. */
static int never_called(int channel, void *context)
{
    DEMAND(channel == -1 && context == &play);
    return -1;
}

/* ---- one run ---- */

static void begin(void)
{
    static const int start_ms[] = {0, 100, 1000, 30000}, grace_ms[] = {0, 1, 50, 2000};

    play.address.sun_family = AF_UNIX;
    play.address_length = sizeof(play.address);
    play.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* With the family alone the kernel chooses a name that no file has: unix(7), autobind. */
    DEMAND(bind(play.listener, (struct sockaddr *)&play.address, sizeof(sa_family_t)) == 0);
    DEMAND(listen(play.listener, MOST_CLIENTS) == 0);
    DEMAND(getsockname(play.listener, (struct sockaddr *)&play.address, &play.address_length) == 0);
    play.stop = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    DEMAND(play.stop != -1);

    uint8_t how = script_byte(&play.script), times = script_byte(&play.script);
    play.config = (struct pool_config){
        .listener = play.listener,
        .stop = play.stop,
        .workers = how >= 0xfc ? FD_SETSIZE : 1 + how % 6,
        .verbose = how & 0x80,
        .start_ms = start_ms[times & 3],
        .grace_ms = grace_ms[times >> 2 & 3],
        .context = &play,
        .ready = now_ready,
        .start = never_called,
        .log = played_log,
        .died = played_died,
    };
    play.init = times & 0x10;
    switch (times >> 5) {
    case 5:
        play.other_namespace = true;
        break;
    case 6:
        let_fail(&play.signalfd, EMFILE, 1);
        break;
    case 7:
        play.allocations = 1 + how % 3;
        break;
    }
}

/* What the pool has promised, once pool_run has returned. */
static void look_back(int result)
{
    const struct pool_config *config = &play.config;

    DEMAND(result == 0 || result == -1);
    DEMAND(result == 0 ? play.stopped && play.said <= 1 : play.said == 1);
    DEMAND(result == 0 || !play.was_ready || play.select_broken); /* once ready, it goes on */
    DEMAND(play.ending_ms == 0 || played_ms() <= latest_end_ms());
    for (int i = 0; i < play.players_count; i++) {
        const struct player *player = &play.players[i];
        DEMAND(player->reaped || player->was_held || player->stranger);
        DEMAND(!player->runs || player->stuck);
        DEMAND(!player->stranger || player->reaped || !play.settled);
    }
    DEMAND(config->workers < FD_SETSIZE || result == -1);

    int unserved = 0; /* accepted and not handed over: at most the one that was in hand */
    for (int i = 0; i < play.clients_count; i++)
        unserved += play.clients[i].accepted && play.clients[i].worker == NOBODY;
    DEMAND(unserved <= (play.settled ? 0 : 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int open_before = open_descriptors(), policy = sched_getscheduler(0);
    struct sigaction action;
    sigset_t blocked;

    play = (struct play){
        .script = {.next = data, .end = data + size},
        .clock_ns = 1000000000,
        .deaths = -1,
    };
    begin();

    look_back(pool_run(&play.config));

    for (int i = 0; i < play.clients_count; i++)
        close_once(&play.clients[i].socket);
    for (int i = 0; i < play.players_count; i++) {
        close_once(&play.players[i].channel);
        close_once(&play.players[i].helper);
    }
    close(play.listener);
    close(play.stop);
    DEMAND(open_descriptors() == open_before);
    DEMAND(sched_getscheduler(0) == policy);
    DEMAND(sigprocmask(SIG_BLOCK, NULL, &blocked) == 0 && !sigismember(&blocked, SIGCHLD));
    DEMAND(sigaction(SIGCHLD, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
    return 0;
}
