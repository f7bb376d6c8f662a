/*
 * Fuzz target: the pool against hostile workers.
 *
 * The pool runs in this process, without any other. Its fork_child is replaced by one that keeps
 * the worker's end of the channel here, in a worker with an invented process id; kill, waitpid and
 * the clock are replaced to match. The script of the fuzzer is played from within select, which
 * the pool calls whenever it has nothing to do: what workers send, when they die, when clients
 * connect, which calls fail. select itself never waits.
 *
 * When the script is over all workers oblige; then every client must come to its worker, and the
 * run must end.
 */
#include "pool.h"
#include "fdpass.h"
#include "process.h"
#include "script.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
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
static int played_kill(pid_t pid, int signal_number);
static pid_t played_waitpid(pid_t pid, int *status, int options);
static int played_nanosleep(const struct timespec *wanted, struct timespec *left);
static int played_clock_gettime(clockid_t clock, struct timespec *now);
static void played_vwarnx(const char *format, va_list arguments);
static void played_warnx(const char *format, ...);

#define select        played_select
#define socketpair    played_socketpair
#define accept4       played_accept4
#define write_fd      played_write_fd
#define read          played_read
#define close         played_close
#define kill          played_kill
#define waitpid       played_waitpid
#define nanosleep     played_nanosleep
#define clock_gettime played_clock_gettime
#define vwarnx        played_vwarnx
#define warnx         played_warnx
/* By its path: the name alone is this file's. */
#include "../../chapters/04-prefork-select/pool.c"
#undef select
#undef socketpair
#undef accept4
#undef write_fd
#undef read
#undef close
#undef kill
#undef waitpid
#undef nanosleep
#undef clock_gettime
#undef vwarnx
#undef warnx

/* ---- what is played ---- */

enum {
    MOST_STEPS = 96,
    MOST_PLAYERS = 512, /* workers in one run, one after the other */
    MOST_CLIENTS = MOST_STEPS,
    FIRST_PID = 1 << 24, /* above every real one: PID_MAX_LIMIT is 2 to the 22nd */
    NOBODY = -1,
};

/* A worker, from fork until the pool has waited for it. */
struct player {
    bool runs, reaped;
    bool faulty;     /* has given the pool a reason to end it */
    bool stubborn;   /* does not mind SIGTERM */
    int status;      /* as waitpid tells it, once it does not run */
    int channel;     /* its end, or -1 when it has closed it */
    int masters_end; /* a number only: the pool's to use and to close */
    int reports;     /* how often it has said that it is idle */
    int connections; /* how many have been handed to it */
};

struct client {
    int socket;
    bool accepted, received;
    int worker; /* that it was handed to, or NOBODY */
};

/* Calls that are to fail: the next `times`, with `error`. */
struct fault {
    int error, times;
};

static struct play {
    struct script script;
    int steps;
    int64_t clock_ns;
    int pass;       /* moments that the next select is to take */
    int events;     /* whatever may have made something readable */
    int streak;     /* calls of select, one after the other, that found something readable */
    int rounds;     /* calls of select since the script was over */
    int last_looks; /* calls of select since the pool has said why it fails */
    int naps;
    bool stopped;     /* `stop` is readable */
    bool script_over; /* and the workers oblige */
    bool all_settled; /* every client has come to a worker, or its worker was lost */
    bool high;        /* channels get numbers that select cannot watch */
    bool was_ready;
    bool exhausted; /* descriptors or memory: the last call that failed said so */
    int said;       /* lines on stderr, those of -v not counted */
    int listener, stop;
    struct sockaddr_un address;
    socklen_t address_length;
    int pair[2]; /* the last one that the pool made */
    struct fault select, socketpair, fork, accept, write, read, wait;
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

static bool fails(struct fault *fault)
{
    if (fault->times == 0)
        return false;
    fault->times--;
    play.events++;
    errno = fault->error;
    return true;
}

static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM ||
           error == ETOOMANYREFS;
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

pid_t fork_child(void)
{
    if (fails(&play.fork))
        return -1;
    DEMAND(play.players_count < MOST_PLAYERS); /* else it starts workers in a loop */
    struct player *player = &play.players[play.players_count];
    *player = (struct player){.runs = true, .masters_end = play.pair[0]};
    player->channel = fcntl(play.pair[1], F_DUPFD_CLOEXEC, 0); /* as a child would have it */
    DEMAND(player->channel != -1 && fcntl(player->channel, F_SETFL, O_NONBLOCK) == 0);
    DEMAND(never_waits(player->masters_end));
    play.events++;
    return FIRST_PID + play.players_count++;
}

static struct player *player_of(pid_t pid)
{
    DEMAND(pid >= FIRST_PID && pid < FIRST_PID + play.players_count);
    struct player *player = &play.players[pid - FIRST_PID];
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

static void player_closes(struct player *player)
{
    if (player->channel != -1)
        close(player->channel);
    player->channel = -1;
    player->faulty = true;
}

static void player_ends(struct player *player, int status)
{
    if (!player->runs)
        return;
    player_closes(player);
    player->runs = false;
    player->status = status;
}

/* Sends `count` bytes, with so many descriptors beside them. */
static void player_sends(struct player *player, char byte, size_t count, int descriptors)
{
    static char bytes[4096];
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(3 * sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = bytes, .iov_len = count};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

    if (player->channel == -1)
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
    if (byte != 0 || count > 1 || player->reports > player->connections)
        player->faulty = true;
    if (sendmsg(player->channel, &message, MSG_NOSIGNAL | MSG_DONTWAIT) > 0 && byte == 0)
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

static void client_leaves(struct client *client)
{
    if (client->socket != -1)
        close(client->socket);
    client->socket = -1;
}

static bool client_settled(const struct client *client)
{
    return client->received ||
           (client->worker != NOBODY && play.players[client->worker].channel == -1);
}

/* ---- the script ---- */

static void become_stopped(void)
{
    DEMAND(eventfd_write(play.stop, 1) == 0);
    play.stopped = true;
}

static struct player *chosen_player(uint8_t byte)
{
    int running = 0;

    for (int i = 0; i < play.players_count; i++)
        running += play.players[i].runs;
    if (running == 0)
        return NULL;
    int which = byte % running;
    for (int i = 0;; i++)
        if (play.players[i].runs && which-- == 0)
            return &play.players[i];
}

static void set_fault(uint8_t call, uint8_t how)
{
    static const int accept_errors[] = {EMFILE, ENFILE,       ENOBUFS, ENOMEM,
                                        EAGAIN, ECONNABORTED, EINTR,   EPROTO};
    static const int write_errors[] = {ETOOMANYREFS, ENOBUFS,    ENOMEM, EMFILE,
                                       EPIPE,        ECONNRESET, EAGAIN, ETOOMANYREFS};
    int which = how & 7, times = 1 + (how >> 3 & 7);

    switch (call % 7) {
    case 0:
        play.accept = (struct fault){accept_errors[which], times};
        break;
    case 1:
        play.write = (struct fault){write_errors[which], times};
        break;
    case 2:
        play.fork = (struct fault){which & 1 ? ENOMEM : EAGAIN, times};
        break;
    case 3:
        play.socketpair = (struct fault){which & 1 ? ENFILE : EMFILE, times};
        break;
    case 4:
        play.select = (struct fault){which == 7 ? ENOMEM : EINTR, times};
        break;
    case 5:
        play.read = (struct fault){EINTR, times};
        break;
    case 6:
        play.wait = (struct fault){EINTR, times};
        break;
    }
}

static bool step_left(void)
{
    return play.steps < MOST_STEPS && script_left(&play.script) > 0;
}

/* A step that is marked comes at once, not only when the pool has dealt with those before it. */
static bool step_at_once(void)
{
    return step_left() && *play.script.next & 0x80;
}

static void next_step(void)
{
    uint8_t what = script_byte(&play.script) & 0x7f, which = script_byte(&play.script);
    struct player *player = chosen_player(which);

    play.steps++;
    play.events++;
    switch (what % 16) {
    case 0:
        for (int i = 0; i < play.players_count; i++)
            if (play.players[i].runs)
                player_obliges(&play.players[i]);
        break;
    case 1:
        if (player)
            player_obliges(player);
        break;
    case 2:
        if (player)
            player_sends(player, 0, 1, 0);
        break;
    case 3:
        if (player)
            player_sends(player, (char)script_byte(&play.script), 1, 0);
        break;
    case 4:
        if (player) {
            size_t count = (size_t)1 + script_byte(&play.script) * 16;
            player_sends(player, (char)script_byte(&play.script), count, 0);
        }
        break;
    case 5:
        if (player)
            player_sends(player, 0, 1 + (which >> 7), 1 + (which >> 5) % 3);
        break;
    case 6:
        if (player)
            player_closes(player);
        break;
    case 7:
        if (player)
            player_ends(player, W_EXITCODE(script_byte(&play.script), 0));
        break;
    case 8:
        if (player)
            player_ends(player, W_EXITCODE(0, 1 + script_byte(&play.script) % 31));
        break;
    case 9:
        if (player)
            player_receives(player);
        break;
    case 10:
        if (player)
            player->stubborn = true;
        break;
    case 11:
    case 12:
        for (int i = 0; i <= which % 4 && play.clients_count < MOST_CLIENTS; i++)
            client_connects();
        break;
    case 13:
        if (play.clients_count > 0)
            client_leaves(&play.clients[which % play.clients_count]);
        break;
    case 14:
        if (which < 224)
            play.pass = 1 + which;
        else if (which < 240)
            play.high = which & 1;
        else if (which >= 252)
            become_stopped();
        break;
    case 15:
        set_fault(which, script_byte(&play.script));
        break;
    }
}

/* The script is over: nothing fails any more, and nobody is to be left behind. */
static void oblige(void)
{
    if (!play.script_over) {
        play.script_over = true;
        play.high = false;
        play.select = play.socketpair = play.fork = (struct fault){0};
        play.accept = play.write = play.read = (struct fault){0};
        play.pass = 0;
    }
    for (int i = 0; i < play.players_count; i++)
        if (play.players[i].runs)
            player_obliges(&play.players[i]);
    play.events += play.players_count;

    bool settled = true;
    for (int i = 0; i < play.clients_count; i++)
        settled = settled && client_settled(&play.clients[i]);
    if (settled && play.was_ready && !play.stopped) {
        play.all_settled = true;
        become_stopped();
    }
    DEMAND(++play.rounds < 100 + 10 * play.events); /* else somebody waits for ever */
}

static int played_select(int count, fd_set *readable, fd_set *writable, fd_set *exceptional,
                         struct timeval *timeout)
{
    const fd_set asked = *readable;
    bool obliged = false;

    DEMAND(!writable && !exceptional && FD_ISSET(play.stop, readable));
    DEMAND(!timeout || timeout->tv_sec > 0 || timeout->tv_usec >= 1000); /* else it may spin */
    /* Short of something it waits: the listener stays readable, and would wake it for nothing. */
    DEMAND(!play.exhausted || (timeout && !FD_ISSET(play.listener, readable)));
    play.exhausted = false;
    /* It has said why it fails: it may look once more, and then ends. */
    DEMAND(play.said == 0 || ++play.last_looks == 1);
    while (step_at_once())
        next_step();
    if (fails(&play.select))
        return -1;

    for (;;) {
        struct timeval nothing = {0};
        *readable = asked;
        int found = select(count, readable, NULL, NULL, &nothing);
        DEMAND(found >= 0); /* else it watches what is not open */
        if (found > 0) {
            /* Each event is dealt with in a few calls, or the pool spins. */
            DEMAND(++play.streak <= 16 + 4 * play.events);
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

/* ---- the other calls ---- */

static int played_socketpair(int domain, int type, int protocol, int pair[2])
{
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
    if (fails(&play.accept)) {
        play.exhausted = is_shortage(errno);
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
    if (fails(&play.write)) {
        play.exhausted = is_shortage(errno);
        player->faulty = player->faulty || !play.exhausted;
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
    return fails(&play.read) ? -1 : read(fd, buffer, length);
}

static int played_close(int fd)
{
    DEMAND(close(fd) == 0); /* twice closed is another's descriptor closed */
    return 0;
}

static int played_kill(pid_t pid, int signal_number)
{
    struct player *player = player_of(pid);

    DEMAND(signal_number == SIGKILL || signal_number == SIGTERM);
    /* Without a reason only at the end, to one that SIGTERM has not ended. */
    DEMAND(signal_number == SIGTERM || player->faulty || play.naps > 0);
    if (signal_number == SIGKILL || !player->stubborn)
        player_ends(player, W_EXITCODE(0, signal_number));
    return 0;
}

static pid_t played_waitpid(pid_t pid, int *status, int options)
{
    struct player *player = player_of(pid);

    if (options == 0 && fails(&play.wait))
        return -1;
    if (player->runs) {
        DEMAND(options == WNOHANG); /* else it waits for what may never end */
        return 0;
    }
    player->reaped = true;
    if (status)
        *status = player->status;
    return pid;
}

static int played_nanosleep(const struct timespec *wanted, struct timespec *left)
{
    DEMAND(!left && wanted->tv_nsec > 0);
    DEMAND(++play.naps <= GRACE_MS + play.players_count);
    play.clock_ns += wanted->tv_sec * 1000000000 + wanted->tv_nsec;
    return 0;
}

static int played_clock_gettime(clockid_t clock, struct timespec *now)
{
    DEMAND(clock == CLOCK_MONOTONIC);
    *now = (struct timespec){play.clock_ns / 1000000000, play.clock_ns % 1000000000};
    return 0;
}

static void played_vwarnx(const char *format, va_list arguments)
{
    char line[256];

    DEMAND(vsnprintf(line, sizeof(line), format, arguments) > 0 && !strchr(line, '\n'));
    /* Workers that oblige report at once; what the script has spent is a few rounds back. */
    DEMAND(strncmp(line, "no worker ", strlen("no worker ")) != 0 || play.rounds < 10);
    play.said++;
}

static void played_warnx(const char *format, ...)
{
    va_list arguments;
    int said = play.said;

    va_start(arguments, format);
    played_vwarnx(format, arguments);
    va_end(arguments);
    /* What -v logs is no reason to end. */
    if (strncmp(format, "descriptor ", strlen("descriptor ")) == 0 ||
        strcmp(format, "worker %d is lost") == 0)
        play.said = said;
}

/* ---- one run ---- */

static void now_ready(void)
{
    DEMAND(!play.was_ready);
    play.was_ready = true;
}

/* What a new process would do, and here is none. */
static int never_called(int channel)
{
    DEMAND(channel == -1);
    return -1;
}

static void begin(void)
{
    play.address.sun_family = AF_UNIX;
    play.address_length = sizeof(play.address);
    play.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* With the family alone the kernel chooses a name that no file has: unix(7), autobind. */
    DEMAND(bind(play.listener, (struct sockaddr *)&play.address, sizeof(sa_family_t)) == 0);
    DEMAND(listen(play.listener, MOST_CLIENTS) == 0);
    DEMAND(getsockname(play.listener, (struct sockaddr *)&play.address, &play.address_length) == 0);
    play.stop = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    DEMAND(play.stop != -1);
}

/* What the pool has promised, once pool_run has returned. */
static void look_back(const struct pool_config *config, int result)
{
    DEMAND(result == 0 || result == -1);
    DEMAND(result == 0 ? play.stopped : play.said == 1);
    DEMAND(play.said <= 1);
    for (int i = 0; i < play.players_count; i++)
        DEMAND(play.players[i].reaped && !play.players[i].runs);
    DEMAND(config->workers < FD_SETSIZE || (result == -1 && play.players_count == 0));

    int unserved = 0; /* accepted and not handed over: at most the one that was in hand */
    for (int i = 0; i < play.clients_count; i++)
        unserved += play.clients[i].accepted && play.clients[i].worker == NOBODY;
    DEMAND(unserved <= (play.all_settled ? 0 : 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int open_before = open_descriptors();

    play = (struct play){.script = {.next = data, .end = data + size}};
    begin();
    uint8_t how = script_byte(&play.script);
    const struct pool_config config = {
        .listener = play.listener,
        .stop = play.stop,
        .workers = how >= 0xfc ? FD_SETSIZE : 1 + how % 6,
        .verbose = how & 0x80,
        .ready = now_ready,
        .start = never_called,
    };

    look_back(&config, pool_run(&config));

    for (int i = 0; i < play.clients_count; i++)
        client_leaves(&play.clients[i]);
    close(play.listener);
    close(play.stop);
    DEMAND(open_descriptors() == open_before);
    return 0;
}
