#define _GNU_SOURCE 1

#include "workers.h"

#include "process.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PAUSE_MS = 100, /* how long a place stays vacant whose worker was no good */
    PAUSE_MAX_MS = 6400,
    UNREAPED_MS = 200, /* how long after its SIGKILL a worker may hold its place */
};

struct place {
    pid_t pid;   /* 0: vacant */
    int pidfd;   /* in `watched`; or -1 */
    bool proved; /* has done some work */
    int64_t birth;
    int pause_ms; /* of the place, after the next worker that is no good */
    int64_t due;  /* vacant: not to be filled before. Dismissed: when it is to be dealt with */
    bool dismissed, killed;
};

struct workers {
    int places;
    int attention; /* places that are vacant or dismissed; while there is none, nothing is due */
    int deaths;    /* SIGCHLD arrives here: a signalfd */
    int watched;   /* an epoll instance with that and all pidfds; or -1 */
    long deaths_count;
    int next;                /* the place at which workers_reap goes on */
    bool was_blocked;        /* SIGCHLD, before ... */
    struct sigaction action; /* ... and what was to be done at one */
    pid_t
        *unreaped; /* have left their places, and not been reaped; at most `places`, 0 is nobody */
    struct place place[];
};

static void restore_sigchld(const struct workers *workers)
{
    sigset_t death;

    sigaction(SIGCHLD, &workers->action, NULL);
    sigemptyset(&death);
    sigaddset(&death, SIGCHLD);
    if (!workers->was_blocked)
        sigprocmask(SIG_UNBLOCK, &death, NULL);
}

/* Reaps what is no worker, or no longer: who has left its place; and as init, whoever has died. */
static void reap_others(struct workers *workers)
{
    siginfo_t info;

    for (int i = 0; i < workers->places; i++)
        if (workers->unreaped[i] != 0 && waitpid(workers->unreaped[i], NULL, WNOHANG) != 0)
            workers->unreaped[i] = 0;
    while (getpid() == 1) {
        info.si_pid = 0;
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == -1 || info.si_pid == 0)
            return;
        for (int i = 0; i < workers->places; i++)
            if (workers->place[i].pid == info.si_pid || workers->unreaped[i] == info.si_pid)
                return; /* it has died just now: SIGCHLD is pending again */
        waitpid(info.si_pid, NULL, WNOHANG);
    }
}

struct workers *workers_open(int places)
{
    sigset_t before;

    if (children_impossible()) {
        errno = EXDEV;
        return NULL;
    }
    struct workers *workers =
        calloc(1, sizeof(*workers) + (size_t)places * sizeof(workers->place[0]));
    if (!workers)
        return NULL;
    workers->unreaped = calloc((size_t)places, sizeof(*workers->unreaped));
    sigprocmask(SIG_BLOCK, NULL, &before);
    workers->was_blocked = sigismember(&before, SIGCHLD);
    sigaction(SIGCHLD, NULL, &workers->action);
    workers->deaths = workers->unreaped ? signals_open(SIGCHLD, 0) : -1;
    if (workers->deaths == -1) {
        int error = errno;
        restore_sigchld(workers);
        free(workers->unreaped);
        free(workers);
        errno = error;
        return NULL;
    }
    workers->places = workers->attention = places;
    workers->watched = -1;
    for (int i = 0; i < places; i++)
        workers->place[i] = (struct place){.pidfd = -1, .pause_ms = PAUSE_MS};
    reap_others(workers); /* as init: who has died before SIGCHLD was blocked */
    return workers;
}

static int watch(const struct workers *workers, int fd, int place)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = place};

    return epoll_ctl(workers->watched, EPOLL_CTL_ADD, fd, &event);
}

int workers_watch(struct workers *workers)
{
    workers->watched = epoll_create1(EPOLL_CLOEXEC);
    if (workers->watched != -1 && watch(workers, workers->deaths, -1) == -1) {
        int error = errno;
        close(workers->watched);
        workers->watched = -1;
        errno = error;
    }
    return workers->watched == -1 ? -1 : 0;
}

/* To close it is not enough: who was forked elsewhere in this program may have a copy, and while
 * one is open it stays in the epoll instance. */
static void unwatch(const struct workers *workers, struct place *it)
{
    if (it->pidfd == -1)
        return;
    epoll_ctl(workers->watched, EPOLL_CTL_DEL, it->pidfd, NULL);
    close(it->pidfd);
    it->pidfd = -1;
}

/* Who has died, and has not been reaped by now, is another's to reap. */
static void dismiss_the_unreaped(struct workers *workers)
{
    struct epoll_event event;

    while (workers->watched != -1 && epoll_wait(workers->watched, &event, 1, 0) == 1 &&
           event.data.fd != -1) {
        unwatch(workers, &workers->place[event.data.fd]);
        workers_dismiss(workers, event.data.fd, UNREAPED_MS);
    }
}

int workers_descriptor(const struct workers *workers)
{
    return workers->watched != -1 ? workers->watched : workers->deaths;
}

pid_t workers_pid(const struct workers *workers, int place)
{
    return workers->place[place].pid;
}

int64_t workers_birth_ms(const struct workers *workers, int place)
{
    return workers->place[place].birth;
}

long workers_deaths(const struct workers *workers)
{
    return workers->deaths_count;
}

void workers_put_off(struct workers *workers, int place)
{
    struct place *it = &workers->place[place];

    it->due = now_ms() + it->pause_ms;
    if (it->pause_ms < PAUSE_MAX_MS)
        it->pause_ms *= 2;
}

pid_t workers_start(struct workers *workers, int place)
{
    struct place *it = &workers->place[place];
    pid_t pid = fork_child();

    if (pid == 0) {
        for (int i = 0; i < workers->places; i++)
            if (workers->place[i].pidfd != -1)
                close(workers->place[i].pidfd); /* the epoll instance is the parent's: let it be */
        if (workers->watched != -1)
            close(workers->watched);
        close(workers->deaths);
    } else if (pid == -1) {
        int error = errno;
        workers_put_off(workers, place);
        errno = error;
    } else {
        *it = (struct place){.pid = pid, .pidfd = -1, .birth = now_ms(), .pause_ms = it->pause_ms};
        workers->attention--;
        if (workers->watched != -1)
            it->pidfd = (int)syscall(SYS_pidfd_open, pid, 0); /* close-on-exec by itself */
        if (it->pidfd != -1 && watch(workers, it->pidfd, place) == -1)
            unwatch(workers, it);
    }
    return pid;
}

void workers_proved(struct workers *workers, int place)
{
    struct place *it = &workers->place[place];

    it->proved = true;
    it->pause_ms = PAUSE_MS;
    if (it->pid == 0) /* it has died, and this was its last word */
        it->due = 0;
}

void workers_dismiss(struct workers *workers, int place, int grace_ms)
{
    struct place *it = &workers->place[place];

    if (it->pid == 0 || it->dismissed)
        return;
    it->dismissed = true;
    it->due = now_ms() + grace_ms;
    workers->attention++;
}

/* The place has no worker any more; one that was dismissed needed attention before, too. */
static void vacate(struct workers *workers, struct place *it)
{
    if (!it->dismissed)
        workers->attention++;
    unwatch(workers, it);
    it->pid = 0;
    it->dismissed = it->killed = false;
    it->due = 0;
    if (!it->proved)
        workers_put_off(workers, (int)(it - workers->place));
}

/* Deals with a worker whose time is over: SIGKILL; and if it is still there later, its place is
 * vacated. Where too many are unreaped already, the place stays theirs: there is no limit to
 * how many could hang, but there is one to how many processes this program makes. */
static void press(struct workers *workers, struct place *it, int64_t now)
{
    if (!it->killed) {
        kill(it->pid, SIGKILL);
        it->killed = true;
        it->due = now + UNREAPED_MS;
        return;
    }
    it->due = now + UNREAPED_MS;
    for (int i = 0; i < workers->places; i++) {
        if (workers->unreaped[i] == 0) {
            workers->unreaped[i] = it->pid;
            workers->deaths_count++;
            vacate(workers, it);
            return;
        }
    }
}

int workers_vacant(struct workers *workers)
{
    if (workers->attention == 0) /* mostly; and this is asked for each connection */
        return -1;
    int64_t now = now_ms();
    int vacant = -1;
    for (int i = 0; i < workers->places; i++) {
        struct place *it = &workers->place[i];
        if (it->dismissed && now >= it->due)
            press(workers, it, now);
        if (vacant == -1 && it->pid == 0 && now >= it->due)
            vacant = i;
    }
    return vacant;
}

int workers_timeout(const struct workers *workers)
{
    int64_t first = INT64_MAX, now;

    if (workers->attention == 0)
        return -1;
    for (int i = 0; i < workers->places; i++) {
        const struct place *it = &workers->place[i];
        if ((it->pid == 0 || it->dismissed) && it->due < first)
            first = it->due;
    }
    now = now_ms();
    return first > now ? (int)(first - now) : 0;
}

int workers_reap(struct workers *workers, pid_t *pid, int *status)
{
    if (workers->next == 0)
        signals_next(workers->deaths); /* before looking: a death from now on makes it readable */
    while (workers->next < workers->places) {
        struct place *it = &workers->place[workers->next++];
        if (it->pid == 0 || waitpid(it->pid, status, WNOHANG) != it->pid)
            continue;
        *pid = it->pid;
        workers->deaths_count++;
        vacate(workers, it);
        return (int)(it - workers->place);
    }
    workers->next = 0;
    reap_others(workers);
    dismiss_the_unreaped(workers);
    return -1;
}

void workers_close(struct workers *workers, int grace_ms)
{
    pid_t *left = workers->unreaped;

    reap_others(workers); /* who has had its SIGKILL is not waited for again */
    for (int i = 0; i < workers->places; i++)
        left[i] = workers->place[i].pid;
    children_end(left, workers->places, grace_ms);
    for (int i = 0; i < workers->places; i++)
        unwatch(workers, &workers->place[i]);
    if (workers->watched != -1)
        close(workers->watched);
    close(workers->deaths);
    restore_sigchld(workers);
    free(workers->unreaped);
    free(workers);
}
