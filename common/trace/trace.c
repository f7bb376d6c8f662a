/*
 * trace.so: writes down what programs do, call by call, and hardly holds them up.
 *
 *     truncate -s 1M /dev/shm/events
 *     TRACE_FILE=/dev/shm/events LD_PRELOAD=build/common/trace/trace.so SERVER
 *
 * The dynamic linker searches this library before libc. So the program calls the functions below;
 * each asks for the time, calls the function of libc that it hides, asks again, and puts an event
 * into TRACE_FILE, which is mapped as shared memory. strace(1) stops the process at each call
 * instead, and wakes another one up to look at it: 50 to 100 µs, more than what is to be measured.
 * Here it is about 0.2 µs a call. A forked child pays more, as for any memory that it shares and
 * any library that it uses: 20 to 30 µs of the 200 that a connection takes of the CPU in chapter 1.
 *
 * Several processes write at once. Each takes a place in the file by counting up an atomic number,
 * and what it has taken is nobody else's: there is no lock. A forked child inherits the memory; a
 * program that is started by exec inherits the environment, and maps the file itself.
 *
 * A hook allocates nothing, keeps errno, and may run in a signal handler, or between fork and exec.
 * Descriptors are followed by socket: a descriptor has another number in each process, but
 * SO_COOKIE says that it is the same connection. Calls that libc makes itself are not seen. See
 * ld.so(8), dlsym(3), socket(7).
 */
#include "trace.h"

#include "stopwatch.h"

#include <dlfcn.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct trace *trace; /* NULL: nothing is written down */
static uint64_t room;       /* events */

/* Maps a file into memory, as large as it is. Returns MAP_FAILED with errno. */
static void *map(const char *path, size_t *size)
{
    struct stat status;
    void *memory = MAP_FAILED;
    int file = open(path, O_RDWR | O_CLOEXEC);

    if (file != -1 && fstat(file, &status) == 0) {
        *size = (size_t)status.st_size;
        memory = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0);
    }
    if (file != -1)
        close(file);
    return memory;
}

/* A program that cannot be traced says so, and runs all the same. */
__attribute__((constructor)) static void open_trace(void)
{
    const char *path = getenv("TRACE_FILE");
    size_t size = 0;
    void *memory = path ? map(path, &size) : NULL;

    if (!path) {
        warnx("trace.so: TRACE_FILE is not set");
    } else if (memory == MAP_FAILED) {
        warn("trace.so: TRACE_FILE %s", path);
    } else if (size < sizeof(*trace)) {
        warnx("trace.so: TRACE_FILE %s has no room", path);
    } else {
        room = (size - sizeof(*trace)) / sizeof(*trace->events);
        trace = memory;
    }
}

/* Which socket a descriptor is; 0 when it is none. */
static uint64_t cookie(int descriptor)
{
    uint64_t number = 0;
    socklen_t length = sizeof(number);

    if (descriptor != -1)
        getsockopt(descriptor, SOL_SOCKET, SO_COOKIE, &number, &length);
    return number;
}

/* Writes the event of a call that has just returned. */
static void record(const char *call, int descriptor, int other, long result, int64_t begin)
{
    int64_t end = now_ns();
    int error = errno;

    if (!trace)
        return;
    uint64_t place = atomic_fetch_add(&trace->count, 1);
    if (place >= room)
        return;

    struct trace_event *event = &trace->events[place];
    event->begin = begin;
    event->socket = cookie(other);
    event->pid = getpid();
    event->descriptor = descriptor;
    event->other = other;
    event->result = (int32_t)result;
    event->error = result == -1 ? error : 0;
    strncpy(event->call, call, sizeof(event->call) - 1);
    atomic_store(&event->end, end);
    errno = error;
}

/*
 * Declares hook_NAME, which the linker knows as NAME, and next_NAME, the function that it hides.
 * That one is looked up before main, since this takes time; but another library's constructor may
 * call the hook earlier.
 */
#define HIDE(type, name, parameters)                                                               \
    typedef type function_##name parameters;                                                       \
    static function_##name *next_##name;                                                           \
    __attribute__((constructor)) static void find_##name(void)                                     \
    {                                                                                              \
        if (!next_##name)                                                                          \
            *(void **)&next_##name = dlsym(RTLD_NEXT, #name);                                      \
    }                                                                                              \
    function_##name hook_##name __asm__(#name);                                                    \
    type hook_##name parameters

/* A hook that writes down every call when it returns. */
#define HOOK(type, name, parameters, arguments, descriptor, other)                                 \
    HIDE(type, name, parameters)                                                                   \
    {                                                                                              \
        find_##name();                                                                             \
        int64_t begin = now_ns();                                                                  \
        type result = next_##name arguments;                                                       \
        record(#name, descriptor, other, (long)result, begin);                                     \
        return result;                                                                             \
    }

HOOK(int, accept, (int fd, struct sockaddr *address, socklen_t *length), (fd, address, length), fd,
     result)
HOOK(int, accept4, (int fd, struct sockaddr *address, socklen_t *length, int flags),
     (fd, address, length, flags), fd, result)
HOOK(ssize_t, recv, (int fd, void *buffer, size_t size, int flags), (fd, buffer, size, flags), fd,
     -1)
HOOK(ssize_t, send, (int fd, const void *data, size_t size, int flags), (fd, data, size, flags), fd,
     -1)
HOOK(ssize_t, read, (int fd, void *buffer, size_t size), (fd, buffer, size), fd, -1)
HOOK(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size), fd, -1)
HOOK(int, close, (int fd), (fd), fd, -1)
HOOK(int, select,
     (int count, fd_set *readable, fd_set *writable, fd_set *exceptional, struct timeval *timeout),
     (count, readable, writable, exceptional, timeout), -1, -1)
HOOK(pid_t, waitpid, (pid_t child, int *status, int options), (child, status, options), -1, -1)

/* ---- where descriptors come from; in a server this is over before the first client comes ---- */

HOOK(int, socket, (int domain, int type, int protocol), (domain, type, protocol), -1, result)
HOOK(int, listen, (int fd, int backlog), (fd, backlog), fd, -1)
HOOK(int, connect, (int fd, const struct sockaddr *address, socklen_t length),
     (fd, address, length), fd, -1)
HOOK(int, socketpair, (int domain, int type, int protocol, int ends[2]),
     (domain, type, protocol, ends), result == -1 ? -1 : ends[0], result == -1 ? -1 : ends[1])
HOOK(off_t, lseek, (int fd, off_t offset, int whence), (fd, offset, whence), fd, -1)

HIDE(int, memfd_create, (const char *name, unsigned flags))
{
    find_memfd_create();
    int64_t begin = now_ns();
    int result = next_memfd_create(name, flags);
    record("memfd", -1, result, result, begin);
    return result;
}

/* The mode is there only if the call may make a file; whatever is in its place does no harm. */
HIDE(int, open, (const char *path, int flags, ...))
{
    va_list arguments;

    find_open();
    va_start(arguments, flags);
    unsigned mode = va_arg(arguments, unsigned);
    va_end(arguments);
    int64_t begin = now_ns();
    int result = next_open(path, flags, mode);
    record("open", -1, result, result, begin);
    return result;
}

/* ---- messages ---- */

/* The first descriptor of the first control message, or -1. */
static int passed(const struct msghdr *message)
{
    const struct cmsghdr *header = CMSG_FIRSTHDR(message);
    int descriptor = -1;

    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len >= CMSG_LEN(sizeof(descriptor)))
        memcpy(&descriptor, CMSG_DATA(header), sizeof(descriptor));
    return descriptor;
}

HOOK(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags), fd,
     passed(message))
HOOK(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags), fd,
     result == -1 ? -1 : passed(message))

/* What libc has no function for. A program passes six longs at most, and so do we, whatever is in
 * those that the call does not have. */
HIDE(long, syscall, (long number, ...))
{
    long words[6];
    va_list arguments;

    find_syscall();
    va_start(arguments, number);
    for (int i = 0; i < 6; i++)
        words[i] = va_arg(arguments, long);
    va_end(arguments);
    int64_t begin = now_ns();
    long result = next_syscall(number, words[0], words[1], words[2], words[3], words[4], words[5]);
    if (number == SYS_pidfd_getfd) /* a descriptor of another process */
        record("pidfd_getfd", (int)words[0], (int)result, result, begin);
    return result;
}

/* ---- where a process begins and ends ---- */

HIDE(pid_t, fork, (void))
{
    find_fork();
    int64_t begin = now_ns();
    pid_t child = next_fork();
    record("fork", -1, -1, child, begin); /* in both processes */
    return child;
}

HIDE(int, execv, (const char *path, char *const arguments[]))
{
    find_execv();
    record("execv", -1, -1, 0, now_ns()); /* it returns only when it has failed */
    return next_execv(path, arguments);
}

HIDE(void, _exit, (int status))
{
    find__exit();
    record("exit", -1, -1, status, now_ns());
    next__exit(status);
}

__attribute__((destructor)) static void leave_main(void)
{
    record("exit", -1, -1, 0, now_ns());
}
