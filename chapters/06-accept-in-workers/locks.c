/*
 * A demonstration: locks around accept, as servers have had them.
 *
 *     locks [-m KIND] [-p PORT] [WORKERS]
 *
 * KIND is "none", or what the workers take turns by: "mutex", a plain one in shared memory, which
 * stays locked when its holder dies; "robust", the one of server -m lock; "fcntl" and "flock",
 * locks of a file, which the kernel takes from the dead: fcntl(2), flock(2). A worker that dies is
 * not replaced here.
 */
#include "cmdline.h"
#include "echo.h"
#include "listener.h"
#include "log.h"
#include "output.h"
#include "process.h"
#include "ways.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static struct cmdline cmdline;
static pthread_mutex_t *mutex;
static int file;

static void nothing(void)
{
}

static void mutex_lock(void)
{
    if (pthread_mutex_lock(mutex) == EOWNERDEAD)
        pthread_mutex_consistent(mutex);
}

static void mutex_unlock(void)
{
    pthread_mutex_unlock(mutex);
}

/* Belongs to the process: fcntl(2), "Advisory record locking". */
static void fcntl_set(short type)
{
    struct flock whole = {.l_type = type, .l_whence = SEEK_SET};

    while (fcntl(file, F_SETLKW, &whole) == -1 && errno == EINTR)
        continue;
}

static void fcntl_lock(void)
{
    fcntl_set(F_WRLCK);
}

static void fcntl_unlock(void)
{
    fcntl_set(F_UNLCK);
}

/* Belongs to the open file description, so each worker needs one of its own: flock(2). */
static void flock_lock(void)
{
    while (flock(file, LOCK_EX) == -1 && errno == EINTR)
        continue;
}

static void flock_unlock(void)
{
    flock(file, LOCK_UN);
}

static const struct kind {
    const char *name;
    void (*lock)(void), (*unlock)(void);
} kinds[] = {
    {"none", nothing, nothing},           {"mutex", mutex_lock, mutex_unlock},
    {"robust", mutex_lock, mutex_unlock}, {"fcntl", fcntl_lock, fcntl_unlock},
    {"flock", flock_lock, flock_unlock},  {0},
};

static void make_mutex(bool robust)
{
    pthread_mutexattr_t attributes;

    mutex = mmap(NULL, sizeof(pthread_mutex_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                 -1, 0);
    if (mutex == MAP_FAILED)
        log_failure("mmap");
    if (robust) {
        lock_make(mutex);
        return;
    }
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
}

static _Noreturn void work(const struct kind *kind, int listener)
{
    char own[64];

    snprintf(own, sizeof(own), "/proc/self/fd/%d", file);
    file = open(own, O_RDWR | O_CLOEXEC);
    if (file == -1)
        log_failure("%s", own);
    for (;;) {
        kind->lock();
        int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        kind->unlock();
        if (connection == -1)
            continue;
        if (cmdline.verbose)
            log_line("worker %d accepts descriptor %d", (int)getpid(), connection);
        echo(connection);
        close(connection);
    }
}

int main(int argc, char **argv)
{
    const char *names[8] = {NULL};
    struct cmdline_option options[] = {
        {.letter = 'm',
         .argument = "KIND",
         .help = "  -m KIND     none, mutex, robust, fcntl, or flock (none)\n",
         .values = names,
         .value = kinds[0].name},
        {0},
    };
    const struct kind *kind = kinds;

    output_begin();
    for (int i = 0; kinds[i].name; i++)
        names[i] = kinds[i].name;
    cmdline = cmdline_parse_with(argc, argv, options);
    while (strcmp(kind->name, options[0].value) != 0)
        kind++;
    int stop = signals_open(SIGTERM, SIGINT, 0);
    int listener = listener_open(cmdline.address, cmdline.port);
    file = memfd_create("lock", MFD_CLOEXEC);
    if (stop == -1 || listener == -1 || file == -1 || fcntl(listener, F_SETFL, 0) == -1)
        log_failure("cannot listen on %s port %d", cmdline.address, cmdline.port);
    make_mutex(strcmp(kind->name, "robust") == 0);

    pid_t *workers = calloc((size_t)cmdline.workers, sizeof(*workers));
    if (!workers)
        log_failure("workers");
    wait_for_the_cpu();
    for (int i = 0; i < cmdline.workers; i++) {
        workers[i] = fork_child();
        if (workers[i] == -1)
            log_failure("cannot start worker %d of %d", i + 1, cmdline.workers);
        if (workers[i] == 0) {
            close(stop);
            work(kind, listener);
        }
    }
    cmdline_announce(&cmdline, listener);
    fcntl(stop, F_SETFL, 0);
    signals_next(stop);
    sigset_t death;
    sigemptyset(&death);
    sigaddset(&death, SIGCHLD);
    sigprocmask(SIG_BLOCK, &death, NULL); /* as children_end wants it */
    for (int i = 0; i < cmdline.workers; i++)
        kill(workers[i], SIGTERM);
    children_end(workers, cmdline.workers, 500);
    free(workers);
    return EXIT_SUCCESS;
}
