/*
 * Test of common/trace: what the library writes down of this program, into which it is loaded, and
 * of the servers, for which it is LD_PRELOADed.
 */
#include "support.h"

#include "trace.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EVENTS = 100000 };

/* The file, which has no name but one of a descriptor, and where this test sees it. */
static int file = -1;
static size_t size;
static struct trace *trace;
static void *library;
static struct server server;
static bool room_is_short;

static void make_room(size_t events)
{
    char path[64];

    size = sizeof(struct trace) + events * sizeof(struct trace_event);
    file = memfd_create("trace", MFD_CLOEXEC);
    assert_true(file != -1);
    assert_int_equal(ftruncate(file, (off_t)size), 0);
    trace = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    assert_true(trace != MAP_FAILED);
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getpid(), file);
    setenv("TRACE_FILE", path, 1);
}

static int set_up(void **state)
{
    (void)state;
    make_room(EVENTS);
    room_is_short = false;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (server.pid != 0)
        kill(server.pid, SIGKILL);
    server = (struct server){0};
    if (library)
        dlclose(library);
    library = NULL;
    munmap(trace, size);
    close(file);
    unsetenv("LD_PRELOAD");
    unsetenv("TRACE_FILE");
    return 0;
}

/* ---- looking for events ---- */

/* The first event from place *from on that is as wanted; *from is then behind it. 0 as process,
 * -2 as descriptor, "" as call mean any. */
static const struct trace_event *next_event(uint64_t *from, pid_t pid, const char *call,
                                            int descriptor)
{
    for (uint64_t count = atomic_load(&trace->count); *from < count;) {
        const struct trace_event *event = &trace->events[(*from)++];
        if (event->end != 0 && (pid == 0 || event->pid == pid) &&
            (*call == '\0' || strcmp(event->call, call) == 0) &&
            (descriptor == -2 || event->descriptor == descriptor))
            return event;
    }
    return NULL;
}

/* The same, which must be there. */
static const struct trace_event *expect_event(uint64_t *from, pid_t pid, const char *call,
                                              int descriptor)
{
    uint64_t start = *from;
    const struct trace_event *event = next_event(from, pid, call, descriptor);

    if (!event) {
        for (uint64_t i = start; i < atomic_load(&trace->count); i++)
            print_error("%d %s(%d), %d = %d\n", (int)trace->events[i].pid, trace->events[i].call,
                        (int)trace->events[i].descriptor, (int)trace->events[i].other,
                        (int)trace->events[i].result);
        fail_msg("from event %d on there is no %s(%d) of process %d", (int)start, call, descriptor,
                 (int)pid);
    }
    return event;
}

/* ---- hooks, called in this program ---- */

static struct {
    ssize_t (*send)(int, const void *, size_t, int);
    ssize_t (*recv)(int, void *, size_t, int);
    ssize_t (*write)(int, const void *, size_t);
    ssize_t (*read)(int, void *, size_t);
    ssize_t (*sendmsg)(int, const struct msghdr *, int);
    ssize_t (*recvmsg)(int, struct msghdr *, int);
    int (*accept)(int, struct sockaddr *, socklen_t *);
    int (*accept4)(int, struct sockaddr *, socklen_t *, int);
    int (*select)(int, fd_set *, fd_set *, fd_set *, struct timeval *);
    int (*close)(int);
    int (*socket)(int, int, int);
    int (*listen)(int, int);
    int (*connect)(int, const struct sockaddr *, socklen_t);
    int (*socketpair)(int, int, int, int[2]);
    int (*memfd_create)(const char *, unsigned);
    int (*open)(const char *, int, ...);
    off_t (*lseek)(int, off_t, int);
    long (*syscall)(long, ...);
    pid_t (*waitpid)(pid_t, int *, int);
    pid_t (*fork)(void);
    void (*_exit)(int);
} hook;

#define LOOK_UP(name)                                                                              \
    *(void **)&hook.name = dlsym(library, #name);                                                  \
    assert_non_null(hook.name)

static void load_library(void)
{
    library = dlopen(built("common/trace/trace.so"), RTLD_NOW | RTLD_LOCAL);
    if (!library)
        fail_msg("%s", dlerror());
    LOOK_UP(send);
    LOOK_UP(recv);
    LOOK_UP(write);
    LOOK_UP(read);
    LOOK_UP(sendmsg);
    LOOK_UP(recvmsg);
    LOOK_UP(accept);
    LOOK_UP(accept4);
    LOOK_UP(select);
    LOOK_UP(close);
    LOOK_UP(socket);
    LOOK_UP(listen);
    LOOK_UP(connect);
    LOOK_UP(socketpair);
    LOOK_UP(memfd_create);
    LOOK_UP(open);
    LOOK_UP(lseek);
    LOOK_UP(syscall);
    LOOK_UP(waitpid);
    LOOK_UP(fork);
    LOOK_UP(_exit);
}

/* The one event since the last call of this, which must be this one. */
static void expect_only(uint64_t *from, const char *call, int descriptor, int result, int error)
{
    const struct trace_event *event = &trace->events[*from];

    assert_int_equal(atomic_load(&trace->count), *from + 1);
    ++*from;
    assert_string_equal(event->call, call);
    assert_int_equal(event->descriptor, descriptor);
    assert_int_equal(event->result, result);
    assert_int_equal(event->error, error);
    assert_int_equal(event->pid, getpid());
    assert_true(event->begin > 0 && event->begin <= event->end);
}

static void each_call_is_written_down_with_its_result(void **state)
{
    uint64_t at = 0;
    int pair[2], other[2], status;
    char bytes[8] = "1234567";
    struct timeval none = {0};
    fd_set readable;

    (void)state;
    load_library();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(pipe(other), 0);

    assert_int_equal(hook.send(pair[0], bytes, 7, 0), 7);
    expect_only(&at, "send", pair[0], 7, 0);
    assert_int_equal(hook.recv(pair[1], bytes, 3, 0), 3);
    expect_only(&at, "recv", pair[1], 3, 0);
    assert_int_equal(hook.read(pair[1], bytes, 8), 4);
    expect_only(&at, "read", pair[1], 4, 0);
    assert_int_equal(hook.write(other[1], bytes, 2), 2);
    expect_only(&at, "write", other[1], 2, 0);
    FD_ZERO(&readable);
    FD_SET(other[0], &readable);
    assert_int_equal(hook.select(other[0] + 1, &readable, NULL, NULL, &none), 1);
    expect_only(&at, "select", -1, 1, 0);
    pid_t child = fork();
    if (child == 0)
        kill(getpid(), SIGKILL); /* not by an exit, which would be written down */
    assert_int_equal(hook.waitpid(child, &status, 0), child);
    expect_only(&at, "waitpid", -1, (int)child, 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(hook.close(pair[i]), 0);
        expect_only(&at, "close", pair[i], 0, 0);
        close(other[i]);
    }
}

static void a_call_that_fails_keeps_its_errno_and_it_is_written_down(void **state)
{
    uint64_t at = 0;
    char byte;

    (void)state;
    load_library();
    errno = 0;
    assert_int_equal(hook.close(-1), -1);
    assert_int_equal(errno, EBADF);
    expect_only(&at, "close", -1, -1, EBADF);
    errno = 0;
    assert_int_equal(hook.recv(file, &byte, 1, 0), -1);
    assert_int_equal(errno, ENOTSOCK);
    expect_only(&at, "recv", file, -1, ENOTSOCK);
    errno = 0;
    assert_int_equal(hook.accept(file, NULL, NULL), -1);
    assert_int_equal(errno, ENOTSOCK);
    expect_only(&at, "accept", file, -1, ENOTSOCK);
    errno = EPERM;
    assert_int_equal(hook.write(file, &byte, 0), 0);
    assert_int_equal(errno, EPERM); /* who did not fail leaves it alone */
    expect_only(&at, "write", file, 0, 0);
}

/* Sends `sent` over a channel with the hook, and receives it with the hook. Gives what it is then.
 */
static int pass(int channel[2], int sent)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(struct ucred))];
    } control = {0};
    struct iovec byte = {"", 1};
    struct msghdr message = {.msg_iov = &byte, .msg_iovlen = 1};
    int received = -1;

    if (sent != -1) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(sizeof(int));
        control.align = (struct cmsghdr){
            .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
        memcpy(CMSG_DATA(&control.align), &sent, sizeof(sent));
    }
    assert_int_equal(hook.sendmsg(channel[0], &message, 0), 1);

    char data;
    byte.iov_base = &data;
    message.msg_control = &control;
    message.msg_controllen = sizeof(control);
    assert_int_equal(hook.recvmsg(channel[1], &message, 0), 1);
    if (message.msg_controllen > 0)
        memcpy(&received, CMSG_DATA(&control.align), sizeof(received));
    return received;
}

static void a_descriptor_that_travels_is_known_by_its_socket(void **state)
{
    int channel[2];
    const struct trace_event *sent = &trace->events[0], *received = &trace->events[1];

    (void)state;
    load_library();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, channel), 0);
    errno = EPERM;
    int number = pass(channel, channel[1]);
    assert_string_equal(sent->call, "sendmsg");
    assert_string_equal(received->call, "recvmsg");
    assert_int_equal(sent->descriptor, channel[0]);
    assert_int_equal(received->descriptor, channel[1]);
    assert_int_equal(sent->other, channel[1]);
    assert_int_equal(received->other, number);
    assert_int_not_equal(sent->other, received->other);
    assert_true(sent->socket != 0);
    assert_true(sent->socket == received->socket);
    close(number);

    /* What is no socket has no such name, and a message without a descriptor has neither. */
    number = pass(channel, file);
    assert_int_equal(errno, EPERM); /* nobody has seen what the library found out */
    assert_int_equal(sent[2].other, file);
    assert_int_equal(received[2].other, number);
    assert_true(sent[2].socket == 0 && received[2].socket == 0);
    close(number);
    assert_int_equal(pass(channel, -1), -1);
    assert_int_equal(sent[4].other, -1);
    assert_int_equal(received[4].other, -1);

    /* Another kind of control message is no descriptor. */
    assert_int_equal(setsockopt(channel[1], SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int)), 0);
    pass(channel, -1);
    assert_int_equal(received[6].other, -1);
    assert_int_equal(atomic_load(&trace->count), 8);
    close(channel[0]);
    close(channel[1]);
}

static void a_descriptor_that_is_copied_by_its_number_is_known_by_its_socket(void **state)
{
    int channel[2];
    const struct trace_event *copied = &trace->events[0], *refused = &trace->events[1];

    (void)state;
    load_library();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, channel), 0);
    int self = (int)hook.syscall(SYS_pidfd_open, getpid(), 0); /* is passed on as it is */
    assert_true(self >= 0);
    int number = (int)hook.syscall(SYS_pidfd_getfd, self, channel[0], 0);
    if (number == -1 && errno == EPERM)
        skip(); /* a container that forbids it */
    assert_true(number > channel[1]);
    assert_string_equal(copied->call, "pidfd_getfd");
    assert_int_equal(copied->descriptor, self);
    assert_int_equal(copied->other, number);
    assert_int_equal(copied->result, number);
    assert_true(copied->socket != 0);

    errno = 0;
    assert_int_equal(hook.syscall(SYS_pidfd_getfd, self, -1, 0), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(refused->error, EBADF);
    assert_int_equal(refused->other, -1);
    assert_int_equal(atomic_load(&trace->count), 2);
    close(number);
    close(self);
    close(channel[0]);
    close(channel[1]);
}

static void an_accepted_connection_has_another_name_than_its_listener(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = sizeof(address);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)state;
    load_library();
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(sa_family_t)), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    assert_int_equal(listen(listener, 2), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(connect(client, (struct sockaddr *)&address, length), 0);
        int connection = i == 0 ? hook.accept(listener, NULL, NULL)
                                : hook.accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        assert_true(connection >= 0);
        assert_string_equal(trace->events[i].call, i == 0 ? "accept" : "accept4");
        assert_int_equal(trace->events[i].descriptor, listener);
        assert_int_equal(trace->events[i].other, connection);
        assert_int_equal(trace->events[i].result, connection);
        assert_true(trace->events[i].socket != 0);
        close(connection);
        close(client);
        client = socket(AF_UNIX, SOCK_STREAM, 0);
    }
    assert_true(trace->events[0].socket != trace->events[1].socket);
    close(client);
    close(listener);
}

static void what_opens_a_descriptor_is_written_down_with_its_number(void **state)
{
    uint64_t at = 0;
    int pair[2], made[4];
    const char *const calls[] = {"socket", "memfd", "open", "open"};

    (void)state;
    load_library();
    for (int i = 0; i < 4; i++) {
        made[i] = i == 0   ? hook.socket(AF_UNIX, SOCK_STREAM, 0)
                  : i == 1 ? hook.memfd_create("file", MFD_CLOEXEC)
                  : i == 2 ? hook.open("/dev/null", O_RDONLY)
                           : hook.open("/dev/shm", O_TMPFILE | O_RDWR, 0640);
        assert_true(made[i] >= 0);
        assert_int_equal(trace->events[i].other, made[i]);
        assert_true((trace->events[i].socket != 0) == (i == 0));
        expect_only(&at, calls[i], -1, made[i], 0);
    }
    struct stat status;
    assert_int_equal(fstat(made[3], &status), 0);
    assert_int_equal(status.st_mode & 0777 & ~0640U, 0); /* what the umask has left of it */
    assert_true(status.st_mode & 0600);

    assert_int_equal(write(made[1], "1234567", 7), 7);
    assert_int_equal(hook.lseek(made[1], -2, SEEK_CUR), 5);
    expect_only(&at, "lseek", made[1], 5, 0);

    assert_int_equal(hook.socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(trace->events[at].other, pair[1]);
    assert_true(trace->events[at].socket != 0);
    expect_only(&at, "socketpair", pair[0], 0, 0);

    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = sizeof(address.sun_family); /* Linux chooses a name: "autobind" in unix(7) */
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, length), 0);
    length = sizeof(address);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    assert_int_equal(hook.listen(listener, 2), 0);
    expect_only(&at, "listen", listener, 0, 0);
    assert_int_equal(hook.connect(made[0], (struct sockaddr *)&address, length), 0);
    expect_only(&at, "connect", made[0], 0, 0);

    assert_int_equal(hook.socketpair(AF_INET, SOCK_STREAM, 0, pair), -1);
    assert_int_equal(trace->events[at].other, -1);
    expect_only(&at, "socketpair", -1, -1, EOPNOTSUPP);
    assert_int_equal(hook.open("/nonexistent", O_RDONLY), -1);
    expect_only(&at, "open", -1, -1, ENOENT);
    for (int i = 0; i < 4; i++)
        close(made[i]);
    close(listener);
}

static void processes_that_write_at_once_lose_nothing(void **state)
{
    enum { PROCESSES = 8, CALLS = 1000 };
    pid_t children[PROCESSES];
    int status, of_child[PROCESSES] = {0};

    (void)state;
    load_library();
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = hook.fork();
        if (children[i] == 0) {
            for (int call = 0; call < CALLS; call++)
                hook.close(-1);
            hook._exit(7);
        }
    }
    for (int i = 0; i < PROCESSES; i++) {
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(WEXITSTATUS(status), 7);
    }
    /* fork once in the parent and once in the child, and the end of that. */
    assert_int_equal(atomic_load(&trace->count), PROCESSES * (CALLS + 3));
    for (uint64_t i = 0; i < PROCESSES * (CALLS + 3); i++) {
        const struct trace_event *event = &trace->events[i];
        assert_true(event->end != 0);
        for (int child = 0; child < PROCESSES; child++)
            if (event->pid == children[child] && strcmp(event->call, "close") == 0)
                of_child[child]++;
    }
    for (int child = 0; child < PROCESSES; child++) {
        uint64_t at = 0;
        assert_int_equal(of_child[child], CALLS);
        assert_int_equal(expect_event(&at, children[child], "", -2)->result, 0);
        assert_string_equal(trace->events[at - 1].call, "fork");
        assert_int_equal(expect_event(&at, children[child], "exit", -1)->result, 7);
        assert_null(next_event(&at, children[child], "", -2));
    }
}

/* ---- servers under the library ---- */

/* What starts from now on is traced. A sanitizer wants to be the first library, but need not. */
static void preload(void)
{
    setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1);
    setenv("LD_LIBRARY_PATH", built("common/trace"), 1); /* whose names may have blanks */
    setenv("LD_PRELOAD", "trace.so", 1);
}

/* Whether a server has noticed the end of a connection: then all of that has been written down. */
static bool is_over(void *master)
{
    pid_t pid = *(pid_t *)master;
    uint64_t at = 0, reaped_at = 0;
    const struct trace_event *sent = next_event(&at, pid, "sendmsg", -2);
    const struct trace_event *reaped = next_event(&reaped_at, pid, "waitpid", -1);

    return sent ? next_event(&at, pid, "read", sent->descriptor) != NULL : reaped != NULL;
}

/* Starts a server with one worker, sends it one message of 5 bytes, and ends it. */
static pid_t serve_one(const char *program)
{
    const char *arguments[] = {built(program), "-p", "0", "1", NULL};
    char byte;

    preload();
    server = server_start(arguments);
    unsetenv("LD_PRELOAD");
    int connection = connect_to(&server);
    exchange(connection, "12345", 5);
    shutdown(connection, SHUT_WR);
    assert_int_equal(recv(connection, &byte, 1, 0), 0);
    close(connection);
    pid_t master = server.pid;
    assert_true(room_is_short || wait_until(is_over, &master));
    assert_int_equal(server_stop(&server), 0);
    return master;
}

/* Looks for what echo and its caller do with a connection. */
static void expect_echo(uint64_t *at, pid_t pid, int connection)
{
    int echoed = 0;

    while (echoed < 5) {
        int received = expect_event(at, pid, "recv", connection)->result;
        assert_int_equal(expect_event(at, pid, "send", connection)->result, received);
        echoed += received;
    }
    assert_int_equal(expect_event(at, pid, "recv", connection)->result, 0);
    assert_int_equal(expect_event(at, pid, "close", connection)->result, 0);
}

static const struct trace_event *expect_accepted(uint64_t *at, pid_t master)
{
    const struct trace_event *accepted;

    do
        accepted = expect_event(at, master, "accept4", -2);
    while (accepted->result == -1);
    assert_int_equal(accepted->other, accepted->result);
    assert_true(accepted->socket != 0);
    return accepted;
}

static void a_child_inherits_the_number_of_the_connection(void **state)
{
    uint64_t of_master = 0;

    (void)state;
    pid_t master = serve_one("chapters/01-fork-per-connection/server");
    int connection = expect_accepted(&of_master, master)->other;
    uint64_t of_child = of_master;
    const struct trace_event *parent_s = expect_event(&of_master, master, "fork", -1);
    pid_t child = parent_s->result;
    const struct trace_event *child_s = expect_event(&of_child, child, "", -2);
    assert_true(child > 0);
    assert_string_equal(child_s->call, "fork");
    assert_int_equal(child_s->result, 0);
    assert_true(child_s->begin == parent_s->begin);

    expect_event(&of_master, master, "close", connection);
    expect_echo(&of_child, child, connection);
    assert_int_equal(expect_event(&of_child, child, "exit", -1)->result, 0);
    assert_null(next_event(&of_child, child, "", -2));
}

static void a_worker_gets_a_number_of_its_own(void **state)
{
    uint64_t of_master = 0, of_worker = 0;

    (void)state;
    pid_t master = serve_one("chapters/04-prefork-select/server");
    pid_t worker = expect_event(&of_master, master, "fork", -1)->result;
    const struct trace_event *accepted = expect_accepted(&of_master, master);
    const struct trace_event *sent = expect_event(&of_master, master, "sendmsg", -2);
    assert_int_equal(sent->other, accepted->other);
    assert_true(sent->socket == accepted->socket);
    expect_event(&of_master, master, "close", accepted->other);

    const struct trace_event *received = expect_event(&of_worker, worker, "recvmsg", -2);
    assert_true(received->socket == accepted->socket);
    assert_int_not_equal(received->other, accepted->other);
    expect_echo(&of_worker, worker, received->other);
    assert_int_equal(expect_event(&of_worker, worker, "send", received->descriptor)->result, 1);
    assert_int_equal(expect_event(&of_master, master, "read", sent->descriptor)->result, 1);
    assert_int_equal(expect_event(&of_master, master, "exit", -1)->result, 0);
}

static void a_program_that_is_started_by_exec_is_traced_too(void **state)
{
    uint64_t at = 0;

    (void)state;
    pid_t master = serve_one("chapters/05-exec-workers/server");
    pid_t worker = expect_event(&at, master, "fork", -1)->result;
    uint64_t accepted_at = at;
    uint64_t socket = expect_accepted(&accepted_at, master)->socket;
    at = 0;
    expect_event(&at, worker, "execv", -1);
    /* On the channel, which the worker has moved away from descriptor 0. */
    const struct trace_event *report = expect_event(&at, worker, "send", -2);
    assert_int_equal(report->result, 1);
    const struct trace_event *received = expect_event(&at, worker, "recvmsg", report->descriptor);
    assert_true(received->socket == socket);
    expect_echo(&at, worker, received->other);
    expect_event(&at, worker, "exit", -1); /* the end of main */
}

static void what_finds_no_room_is_counted_and_harms_nobody(void **state)
{
    (void)state;
    tear_down(state);
    make_room(10);
    room_is_short = true;
    size_t whole = size;
    /* Of the last page of memory a part is behind the end of the file. It must stay empty. */
    serve_one("chapters/04-prefork-select/server");
    assert_true(atomic_load(&trace->count) > 10);
    for (int i = 0; i < 10; i++)
        assert_true(trace->events[i].end != 0);
    assert_int_equal(lseek(file, 0, SEEK_END), whole);
    for (const char *byte = (char *)trace + whole; byte < (char *)trace + 4096; byte++)
        assert_int_equal(*byte, 0);
}

/* Runs a program that needs nothing under the library. */
static void expect_complaint(const char *path, const char *complaint)
{
    if (path)
        setenv("TRACE_FILE", path, 1);
    else
        unsetenv("TRACE_FILE");
    preload();
    struct output output = run(built("common/load/load"), "-h", NULL);
    unsetenv("LD_PRELOAD");
    assert_int_equal(output.status, 0);
    assert_int_equal(strncmp(output.out, "usage: load", 11), 0);
    if (strncmp(output.err, "load: ", 6) != 0 || strcmp(output.err + 6, complaint) != 0)
        fail_msg("wanted \"%s\" on stderr, got \"%s\"", complaint, output.err);
    output_free(&output);
}

static void what_cannot_be_traced_says_so_and_runs(void **state)
{
    (void)state;
    expect_complaint(NULL, "trace.so: TRACE_FILE is not set\n");
    expect_complaint("/nonexistent/events",
                     "trace.so: TRACE_FILE /nonexistent/events: No such file or directory\n");
    assert_int_equal(ftruncate(file, 4), 0);
    char path[64], complaint[128];
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getpid(), file);
    snprintf(complaint, sizeof(complaint), "trace.so: TRACE_FILE %s has no room\n", path);
    expect_complaint(path, complaint);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_call_is_written_down_with_its_result),
        TEST(a_call_that_fails_keeps_its_errno_and_it_is_written_down),
        TEST(a_descriptor_that_travels_is_known_by_its_socket),
        TEST(a_descriptor_that_is_copied_by_its_number_is_known_by_its_socket),
        TEST(an_accepted_connection_has_another_name_than_its_listener),
        TEST(what_opens_a_descriptor_is_written_down_with_its_number),
        TEST(processes_that_write_at_once_lose_nothing),
        TEST(a_child_inherits_the_number_of_the_connection),
        TEST(a_worker_gets_a_number_of_its_own),
        TEST(a_program_that_is_started_by_exec_is_traced_too),
        TEST(what_finds_no_room_is_counted_and_harms_nobody),
        TEST(what_cannot_be_traced_says_so_and_runs),
    };

    return run_chosen(tests);
}
