"""Who accepts: several that wait at one listener, locks between them, and ports that are shared."""
import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import select
import socket
import struct
import tempfile

from experiment import (SECONDS, CannotTry, answer_of, blocked, child, expect, fact, listener,
                        need_root, outcome, pipe, readable, reset, say, tcp_state, waiter, waits,
                        wait_for)

TCP_CLOSE = 7
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
PTRACE_SEIZE = 0x4206
SYS_GET_ROBUST_LIST = {"x86_64": 274, "aarch64": 100, "riscv64": 100}.get(os.uname().machine)
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
PTHREAD_PROCESS_SHARED, PTHREAD_MUTEX_ROBUST = 1, 1
libc = ctypes.CDLL(None, use_errno=True)


def queued(at):
    """How many connections wait to be accepted: of a listener, tcpi_unacked of struct tcp_info."""
    return struct.unpack_from("I", at.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 28), 24)[0]


def clients_of(at, number):
    """So many connections, all of which wait in the queue."""
    clients = [socket.create_connection(at.getsockname(), timeout=SECONDS) for _ in range(number)]
    wait_for(lambda: queued(at) == number, "that all are queued")
    return clients


# ---- who is woken --------------------------------------------------------------------------------

@fact("A connection wakes all who wait in select for one listener, and one of them gets it.")
def select_wakes_all_who_wait_on_a_listener():
    at = listener()
    with contextlib.ExitStack() as stack:
        three = [stack.enter_context(waiter(lambda: select.select([at], [], []))) for _ in "123"]
        client, = clients_of(at, 1)
        expect("three are woken", [readable(told) for _, told in three], [True] * 3)
    at.setblocking(False)
    expect("accept, and accept again", (outcome(at.accept) != "EAGAIN", outcome(at.accept)),
           (True, "EAGAIN"))
    client.close()


@fact("EPOLLEXCLUSIVE is chosen when a descriptor is added; EPOLL_CTL_MOD of it, or to it, is "
      "EINVAL.")
def epoll_exclusive_cannot_be_modified():
    at, instance, other = listener(), select.epoll(), select.epoll()
    instance.register(at, select.EPOLLIN | select.EPOLLEXCLUSIVE)
    expect("EPOLL_CTL_MOD of one that has it",
           outcome(instance.modify, at, select.EPOLLIN), "EINVAL")
    other.register(at, select.EPOLLIN)
    expect("EPOLL_CTL_MOD of one that has not, to it",
           outcome(other.modify, at, select.EPOLLIN | select.EPOLLEXCLUSIVE), "EINVAL")
    instance.unregister(at)
    expect("removed, and added again", outcome(instance.register, at, select.EPOLLIN), None)


@fact("EPOLLEXCLUSIVE goes with EPOLLIN, EPOLLOUT and EPOLLET; with EPOLLRDHUP, EPOLLPRI or "
      "EPOLLONESHOT, or for another epoll instance, it is EINVAL.")
def epoll_exclusive_is_for_few_events():
    def added(events, what):
        return outcome(select.epoll().register, what, events | select.EPOLLEXCLUSIVE)

    at = listener()
    for name in "EPOLLIN", "EPOLLOUT", "EPOLLET":
        expect(name, added(getattr(select, name), at), None)
    for name in "EPOLLRDHUP", "EPOLLPRI", "EPOLLONESHOT":
        expect(name, added(select.EPOLLIN | getattr(select, name), at), "EINVAL")
    expect("for an epoll instance", added(select.EPOLLIN, select.epoll()), "EINVAL")


@fact("An epoll instance that is inherited is shared: what a child removes from it, its parent "
      "waits for no more.")
def an_inherited_epoll_instance_is_shared():
    at, instance = listener(), select.epoll()
    instance.register(at, select.EPOLLIN)
    client, = clients_of(at, 1)
    expect("events in the parent", instance.poll(0), [(at.fileno(), select.EPOLLIN)])
    expect("a child removes the listener", answer_of(instance.unregister, at), "None")
    expect("events in the parent, though the client waits", instance.poll(0), [])
    client.close()


# ---- locks ---------------------------------------------------------------------------------------

class Mutex:
    """One of the C library, in memory that is shared with children."""
    mapped = []  # for ever: a robust one that is held is in a list, which the C library walks

    def __init__(self, robust):
        self.memory = mmap.mmap(-1, 4096)
        self.mapped.append(self.memory)
        self.lock = ctypes.byref(ctypes.c_char.from_buffer(self.memory))
        attributes = ctypes.create_string_buffer(64)
        libc.pthread_mutexattr_init(attributes)
        libc.pthread_mutexattr_setpshared(attributes, PTHREAD_PROCESS_SHARED)
        if robust:
            libc.pthread_mutexattr_setrobust(attributes, PTHREAD_MUTEX_ROBUST)
        libc.pthread_mutex_init(self.lock, attributes)

    def call(self, name):
        """pthread_mutex_NAME: 0, or the name of the error that it returns."""
        error = getattr(libc, f"pthread_mutex_{name}")(self.lock)
        return errno.errorcode[error] if error else 0

    def lock_and_die(self):
        """Leaves it locked, by a child that is no more."""
        expect("a child locks it, and dies", answer_of(self.call, "lock"), "0")


@fact("A mutex in shared memory whose holder has died stays locked, for everybody and for ever, "
      "unless it is robust.")
def a_plain_mutex_of_the_dead_stays_locked():
    mutex = Mutex(robust=False)
    expect("trylock in the parent while it is free", mutex.call("trylock"), 0)
    expect("unlock", mutex.call("unlock"), 0)
    mutex.lock_and_die()
    expect("trylock in the parent", mutex.call("trylock"), "EBUSY")
    with waiter(lambda: mutex.call("lock")) as another:
        expect("another child waits in lock", waits(*another), True)


@fact("A robust mutex whose holder has died goes to the next, who is told by EOWNERDEAD; also "
      "to one that waits already.")
def a_robust_mutex_of_the_dead_is_the_next_ones():
    mutex = Mutex(robust=True)
    mutex.lock_and_die()
    expect("lock in the parent", mutex.call("lock"), "EOWNERDEAD")
    expect("pthread_mutex_consistent, unlock, and lock again",
           [mutex.call("consistent"), mutex.call("unlock"), mutex.call("lock")], [0, 0, 0])
    expect("unlock", mutex.call("unlock"), 0)

    def hold():
        mutex.call("lock")
        os.write(write, b"x")
        os.read(blocked, 1)

    def wait():
        if mutex.call("lock") != "EOWNERDEAD":
            os.read(blocked, 1)

    with contextlib.ExitStack() as stack:
        read, write = stack.enter_context(pipe())
        with child(hold):
            os.read(read, 1)
            pid, told = stack.enter_context(waiter(wait))
            expect("another child waits while the holder lives", waits(pid, told), True)
        expect("it gets EOWNERDEAD when the holder is killed", readable(told), True)


@fact("Who unlocks a robust mutex of the dead without pthread_mutex_consistent loses it for "
      "all: ENOTRECOVERABLE.")
def a_mutex_that_is_not_made_consistent_is_lost():
    mutex = Mutex(robust=True)
    mutex.lock_and_die()
    expect("lock", mutex.call("lock"), "EOWNERDEAD")
    expect("unlock at once", mutex.call("unlock"), 0)
    expect("lock in the parent", mutex.call("lock"), "ENOTRECOVERABLE")
    expect("lock in a child", answer_of(mutex.call, "lock"), "ENOTRECOVERABLE")


class RobustList(ctypes.Structure):
    """Of a thread, for the kernel to look at when it dies: robust_list_head in linux/futex.h."""
    _fields_ = [("next", ctypes.c_void_p), ("offset", ctypes.c_long), ("pending", ctypes.c_void_p)]


def unlock_without_waking(mutex):
    """The first half of glibc's pthread_mutex_unlock: all but futex_wake."""
    head, size = ctypes.POINTER(RobustList)(), ctypes.c_size_t()
    libc.syscall(SYS_GET_ROBUST_LIST, 0, ctypes.byref(head), ctypes.byref(size))
    word = ctypes.c_uint32.from_buffer(mutex.memory)
    head[0].pending = ctypes.addressof(word) - head[0].offset
    head[0].next = ctypes.addressof(head[0])  # an empty list
    word.value = 0


def sleeper_at_a_free_mutex(taken_between):
    """Whether one sleeps on when its waker is killed before futex_wake; it is woken later."""
    mutex = Mutex(robust=True)

    def lock():
        return mutex.call("lock")

    def hold():
        lock()
        os.write(tell, b"x")
        os.read(go, 1)
        unlock_without_waking(mutex)
        os.write(tell, b"x")
        os.read(blocked, 1)

    with contextlib.ExitStack() as stack:
        told, tell = stack.enter_context(pipe())
        go, gone = stack.enter_context(pipe())
        with child(hold):
            os.read(told, 1)
            pid, woken = stack.enter_context(waiter(lock))
            os.write(gone, b"x")
            os.read(told, 1)
            if taken_between:
                expect("the mutex is free: lock in the parent", lock(), 0)
        if not taken_between:
            return not readable(woken)
        expect("unlock in the parent", mutex.call("unlock"), 0)
        sleeps = waits(pid, woken)
        lock()
        stack.enter_context(waiter(lock))
        mutex.call("unlock")
        expect("woken when another has waited for it", readable(woken), True)
        return sleeps


@fact("Who is killed between setting a robust mutex free and waking the one that sleeps there "
      "leaves it asleep, if another has taken the mutex meanwhile: until somebody has to wait for "
      "it again.")
def a_kill_can_leave_a_sleeper_at_a_free_mutex():
    if SYS_GET_ROBUST_LIST is None or "glibc" not in outcome(os.confstr, "CS_GNU_LIBC_VERSION"):
        raise CannotTry("how the C library unlocks a mutex here is not known")
    expect("asleep, if nobody has taken the mutex", sleeper_at_a_free_mutex(False), False)
    expect("asleep, if another has", sleeper_at_a_free_mutex(True), True)


@fact("An fcntl lock belongs to the process, and is released by its death; a child that is "
      "forked has not got it.")
def an_fcntl_lock_is_released_by_death():
    def lock():
        return fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def hold():
        lock()
        os.write(write, b"x")
        os.read(blocked, 1)

    with tempfile.TemporaryFile() as file, pipe() as (read, write):
        with child(hold):
            os.read(read, 1)
            expect("lock in the parent, while a child has it", outcome(lock), "EAGAIN")
        expect("after the child's death", outcome(lock), None)
        expect("lock in a child, by the inherited descriptor", answer_of(lock), "EAGAIN")


@fact("A flock belongs to the open file description: a child that has inherited the descriptor "
      "is not kept out, and its death releases nothing.")
def flock_belongs_to_the_open_file_description():
    def lock(file):
        return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    with tempfile.NamedTemporaryFile() as file, open(file.name, "rb") as own:
        lock(file)
        expect("a child locks by what it has inherited", answer_of(lock, file), "None")
        expect("by an open of its own, after that child's death", answer_of(lock, own), "EAGAIN")
        fcntl.flock(file, fcntl.LOCK_UN)
        expect("when the parent has unlocked", answer_of(lock, own), "None")


# ---- listeners that end, and ports that are shared -----------------------------------------------

@fact("When a listener's last descriptor is closed, the connections in its queue are reset.")
def a_closed_listener_resets_its_queue():
    at = listener()
    clients = clients_of(at, 2)
    at.close()
    for client in clients:
        expect("recv at a client", outcome(client.recv, 1), "ECONNRESET")


def sharing(number):
    """So many listeners on one port."""
    first = listener(socket.SO_REUSEPORT)
    return [first] + [shared(first.getsockname()) for _ in range(number - 1)]


def shared(address):
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(address)
    made.listen()
    return made


def bring_loopback_up():
    with socket.socket() as any_socket:
        request = struct.pack("16sh22x", b"lo", 0)
        flags = struct.unpack_from("h", fcntl.ioctl(any_socket, SIOCGIFFLAGS, request), 16)[0]
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | IFF_UP))


def network_of_our_own(migrate):
    """Leaves for one in which tcp_migrate_req is as wanted; or says why that cannot be."""
    if libc.unshare(CLONE_NEWNET) == -1 and libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) == -1:
        return "this process may make no network namespace"
    try:
        bring_loopback_up()
        with open("/proc/sys/net/ipv4/tcp_migrate_req", "w", encoding="ascii") as setting:
            setting.write("01"[migrate])
    except OSError as error:
        return f"tcp_migrate_req: {error.strerror}"
    return None


def closed_beside_another(migrate):
    """What becomes of a listener's queue when it is closed and another has the same port."""
    if reason := network_of_our_own(migrate):
        return reason
    one, other = sharing(2)
    clients = [socket.create_connection(one.getsockname(), timeout=SECONDS) for _ in range(20)]
    wait_for(lambda: queued(one) + queued(other) == 20, "that all are queued")
    at_one, at_other = queued(one), queued(other)
    one.close()

    def ended():
        return sum(tcp_state(client) == TCP_CLOSE for client in clients)

    def moved():
        return queued(other) - at_other

    wait_for(lambda: ended() + moved() == at_one, "that all are reset, or have moved")
    return f"of {at_one}: {ended()} reset, {moved()} moved"


@fact("With net.ipv4.tcp_migrate_req the queue of a listener that is closed goes to another on "
      "its port; without, it is reset.")
def tcp_migrate_req_saves_the_queue():
    for migrate in False, True:
        answer = answer_of(closed_beside_another, migrate)
        say(f"tcp_migrate_req={int(migrate)}", answer)
        if not answer.startswith("of "):
            raise CannotTry(answer)
        _, of, reset_, _, moved, _ = answer.replace(":", "").split()
        expect("reset, and moved", [reset_, moved], ["0", of] if migrate else [of, "0"])


@fact("Of listeners that share a port, each connection's addresses and ports choose one, "
      "however long its queue, and whoever is idle.")
def reuseport_deals_by_hash_not_by_who_is_idle():
    address = (both := sharing(2))[0].getsockname()
    probe = socket.socket()
    probe.bind(("127.77.0.1", 0))
    port = probe.getsockname()[1]  # of all our clients, each of which has an address of its own
    probe.close()

    def connect(number):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.bind((f"127.77.0.{number}", port))
        client.connect(address)
        return client

    def dealt(number):
        """To which of both, when it comes alone."""
        client = connect(number)
        chosen, *_ = select.select(both, [], [], SECONDS)[0]
        server, _ = chosen.accept()
        server.settimeout(SECONDS)
        reset(client)
        outcome(server.recv, 1)
        server.close()
        return both.index(chosen)

    clients = range(1, 33)
    chosen = [dealt(number) for number in clients]
    say("of 32 clients, to the second", sum(chosen))
    expect("both are chosen", sorted(set(chosen)), [0, 1])
    expect("the same clients again", [dealt(number) for number in clients], chosen)
    waiting = [connect(number) for number in clients if chosen[number - 1] == 0]
    wait_for(lambda: queued(both[0]) + queued(both[1]) == len(waiting), "that they are queued")
    expect("those of the first, which accepts none, wait", queued(both[0]), len(waiting))
    expect("at the second, which is idle", queued(both[1]), 0)


@fact("A socket that is bound and does not listen keeps its port, and gets no connection; with "
      "SO_REUSEPORT set after bind, and SO_REUSEADDR taken back, only listeners that share can have "
      "the port later.")
def a_bound_socket_that_does_not_listen_gets_no_connection():
    def reserved(address):
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        return made

    keeper = reserved(("127.0.0.1", 0))
    address = keeper.getsockname()
    expect("connect", outcome(socket.create_connection, address), "ECONNREFUSED")
    without = socket.socket()
    expect("bind of a socket without the options", outcome(without.bind, address), "EADDRINUSE")
    expect("reserved again while nobody listens", outcome(reserved, address), "EADDRINUSE")
    at = shared(address)
    clients = clients_of(at, 20)
    expect("of 20 connections, at the one listener", queued(at), len(clients))
    expect("reserved again while it listens", outcome(reserved, address), "EADDRINUSE")


@fact("SO_REUSEPORT shares a port with sockets of the same user only: another one's bind fails, "
      "with EADDRINUSE, unless both have SO_REUSEADDR, too, and none listens.")
def reuseport_wants_the_same_user():
    need_root("become another user")
    first = sharing(1)[0]
    address = first.getsockname()

    def bound_by(user):
        os.setresuid(user, user, user)
        shared(address)
        return "bound"

    expect("bind by root", answer_of(bound_by, 0), "bound")
    expect("bind by another user", answer_of(bound_by, 65534), "EADDRINUSE")
    for kept, wanted in ((1, "bound"), (0, "EADDRINUSE")):
        silent = socket.socket()
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        silent.bind(("127.0.0.1", 0))
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, kept)
        address = silent.getsockname()
        expect(f"by another user, where nobody listens, SO_REUSEADDR {kept}",
               answer_of(bound_by, 65534), wanted)


# ---- deaths --------------------------------------------------------------------------------------

@fact("A pidfd is readable when its process has died, even while a tracer keeps the death from "
      "the parent's waitpid.")
def a_pidfd_is_readable_when_its_process_dies_even_if_traced():
    with contextlib.ExitStack() as stack:
        read, write = stack.enter_context(pipe())
        pid = stack.enter_context(child(lambda: os.read(blocked, 1)))
        pidfd = outcome(os.pidfd_open, pid)
        if isinstance(pidfd, str):
            raise CannotTry(f"pidfd_open: {pidfd}")
        stack.callback(os.close, pidfd)

        def trace():
            seized = libc.ptrace(PTRACE_SEIZE, pid, None, None)
            os.write(write, b"0" if seized == 0 else errno.errorcode[ctypes.get_errno()].encode())
            os.read(blocked, 1)

        with child(trace):
            answer = os.read(read, 100).decode()
            if answer != "0":
                raise CannotTry(f"this process may trace nobody: {answer}")
            expect("readable while it lives", readable(pidfd, 0), False)
            os.kill(pid, 9)
            expect("readable after kill -9", readable(pidfd), True)
            expect("waitpid with WNOHANG in the parent", os.waitpid(pid, os.WNOHANG), (0, 0))
        expect("when the tracer has gone", os.waitpid(pid, 0)[0], pid)
