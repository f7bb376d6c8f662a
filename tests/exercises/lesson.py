"""What the tests of the exercises are written with: steps, expectations, and programs to try them on.

A test is a straight script, run as `python3 test.py DIR`, where DIR holds the programs that were built:

    from lesson import *

    begin()
    step("start the server with 2 workers")
    with Server("server", "2") as server:
        connection = server.connect()
        expect_echo(connection, WORD, look="server.c, where a connection is handed to a worker")
    passed()

The first expectation that is not met ends the script with status 1, and says in words what was
done, expected and seen, and where to look: what the expectation says, or else what its step does.
A status other than 0 and 1 means that the test itself broke. What passes and could still be better
gets a remark(). The names of the modules imported here (os, signal, socket, ...) come with
`import *`.

Inputs are others in each run, so that no answer can know them: WORD, word() and `random`.
"""
import contextlib
import ctypes
import os
import pathlib
import random
import re
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import textwrap
import time
import traceback

PATIENCE = float(os.environ.get("LESSON_PATIENCE") or 10)  # seconds until what must become true is given up

_NOT_YET, _BROKEN = 1, 3
_PR_SET_DUMPABLE = 4
_NAME = pathlib.Path(sys.argv[0]).resolve().parent.name
_programs = None  # the folder of the programs, an absolute path
_verdict = None   # a descriptor for whoever started this test: passed() writes "passed" there, _report() "not yet",
                  # the number of steps that were passed, and what happened. What is printed is for people alone
_step = "start"
_step_look = ""
_places = []      # in the test, of the steps so far; the last is under way
_running = []     # the programs inside their `with`
_remarks = []


def word(length=5):
    """Random letters, as bytes."""
    return bytes(random.choices(range(ord("a"), ord("z") + 1), k=length))


WORD = word()  # five letters that are sent and expected back


# ---- the course of a test ------------------------------------------------------------------------

def begin():
    """Reads the command line. To be called first."""
    global _programs, _verdict
    # A program under test runs as the same user. From here on it can neither trace this process nor open what
    # stands in its /proc/PID/fd, so it cannot say for us that it has passed.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    if len(sys.argv) != 2 or not pathlib.Path(sys.argv[1]).is_dir():
        sys.exit(f"usage: {sys.argv[0]} DIR   (where the programs of {_NAME} were built)")
    _programs = pathlib.Path(sys.argv[1]).resolve()
    verdict = os.environ.pop("LESSON_VERDICT", None)
    if verdict is not None:
        _verdict = int(verdict)
        os.set_inheritable(_verdict, False)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    sys.excepthook = _unforeseen


def step(text, look=""):
    """Says what comes next, in the imperative; a failure shows it. `look` is for what has none."""
    global _step, _step_look
    _step, _step_look = text, look
    _places.append(sys._getframe(1).f_lineno)


def expect(ok, expected, happened, look=""):
    """Goes on when `ok` is true, else ends the test. `happened` is a text, or a function that gives one."""
    if not ok:
        fail(expected, happened, look)


def fail(expected, happened, look=""):
    """Ends the test: in this step `expected` was expected, and `happened` happened."""
    for server in _running:
        server.expect_sound()  # a crash explains everything else
    _report(expected, happened() if callable(happened) else happened, look)


def remark(text):
    """Notes what could be better still: passed() says it in a line, and where to read about it."""
    if text not in _remarks:
        _remarks.append(text)


def passed():
    """Ends the test: everything was as expected."""
    print(f"{_NAME}: passed")
    for text in _remarks:
        print(_labelled("Better", f"{text}: see solutions/{_NAME}/README.md"))
    sys.stdout.flush()
    if _verdict is not None:
        os.write(_verdict, b"passed\n")
    os._exit(0)


class Spin:
    """Whether processes spin: they have used a second of CPU time since something moved."""

    def __init__(self, processes):
        self._processes, self._used = processes, None

    def moved(self):
        self._used = None

    def __bool__(self):
        now = sum(map(cpu_seconds, self._processes()))
        self._used = now if self._used is None else self._used
        return now > self._used + 1


def wait_until(predicate, patience=None, by=()):
    """Asks until `predicate` says true, and returns true; false when patience ends before. The longer it takes, the
    less often: many that wait in vain are not to keep the machine from those that do something.

    Patience is for the program. Where this process has to wait for its turn, half a second at most counts between
    two looks: then the program has had to wait, too. Of the processes `by` which something is to come true it is
    known: no time counts while one of them wants a processor, and it ends before when they spin.
    """
    began = last = time.monotonic()
    waited, spins = 0, Spin(lambda: by)
    while not predicate():
        now = time.monotonic()
        waited, last = waited + (0 if any(state(pid) == "R" for pid in by) else min(now - last, 0.5)), now
        if waited > (PATIENCE if patience is None else patience) or spins:
            return bool(predicate())
        time.sleep(min(0.005 + (now - began) / 20, 0.05))
    return True


def sanitized():
    """True when the programs were built with a sanitizer."""
    return any(b"__asan_init" in data or b"__ubsan_handle" in data
               for data in (path.read_bytes() for path in _programs.iterdir() if path.is_file()))


# ---- programs under test -------------------------------------------------------------------------

class Program:
    """Runs a program to its end. Afterwards .status (negative: the signal that ended it), .out and .err (bytes)."""

    def __init__(self, program, *args, input=b"", patience=None, cwd=None, env=None):
        patience = PATIENCE if patience is None else patience
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as source:
            source.write(input)
            source.seek(0)
            process = _start(program, args, env, stdin=source, stdout=out, stderr=err, cwd=cwd)
            try:
                self.status = process.wait(patience)
            except subprocess.TimeoutExpired:
                self.status = None
            _end_session(process)
            self.out, self.err = _content(out), _content(err)
        if self.status is None:
            _report(f"{program} to come to its end", f"after {patience:g} seconds it still ran"
                    + _quote(self.err), "each loop, and each call that waits: what ends it?")
        _expect_sound(program, self.status, self.err)


class Process:
    """A program while it runs, as a context manager: what Server and Piped have in common.

    It runs as leader of a session of its own. When the block is left, all that lives in that
    session is killed.
    """

    def __init__(self, program, *args, env=None):
        self._name, self._args, self._env = program, args, env
        self._process = self.pid = self._out = self._err = None
        self._ended_by_test = False

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.expect_sound()
        _running.remove(self)
        _end_session(self._process)
        if kind is None:  # what the sanitizers found in a worker
            _expect_sound(self._name, 0, _content(self._err))
        self._out.close()
        self._err.close()

    def children(self):
        """The process ids of its children, zombies too, in ascending order."""
        return sorted(pid for pid in _all_processes() if _stat(pid)[1:2] == [str(self.pid)] and _forked(pid))

    def living_children(self):
        """Those of children() that have not ended."""
        return [pid for pid in self.children() if state(pid) not in (None, "Z", "X")]

    def stderr(self):
        """What it has said on stderr so far, as text."""
        return _content(self._err).decode(errors="replace")

    def kill(self, number=signal.SIGKILL):
        """Sends the program a signal; that it ends is then no fault."""
        self._ended_by_test = True
        self._process.send_signal(number)

    def wait(self, patience=None):
        """Waits until it has ended; gives its exit status (negative: the signal), or None."""
        self._ended_by_test = True
        try:
            return self._process.wait(PATIENCE if patience is None else patience)
        except subprocess.TimeoutExpired:
            return None

    def stop(self):
        """Sends SIGTERM and waits; gives the exit status, or None when patience ended before."""
        self.kill(signal.SIGTERM)
        return self.wait()

    def expect_sound(self):
        """Ends the test when the program has crashed."""
        _expect_sound(self._name, self._process.poll(), _content(self._err))


class Server(Process):
    """A server of the course on a free port: `with Server("server", "2") as server`.

    `look` is where to look when it does not start. Files in `keep` it inherits under their own numbers; `stderr` is a
    file in the place of the one that stderr() reads.
    """

    def __init__(self, program, *args, env=None, look="", keep=(), stderr=None):
        super().__init__(program, *args, env=env)
        self._look, self.port, self._keep, self._other_err = look, None, keep, stderr

    def __enter__(self):
        self._out, self._err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        self._process = _start(self._name, ("-p", "0", *self._args), self._env, stdin=subprocess.DEVNULL,
                               stdout=self._out, stderr=self._other_err or self._err,
                               pass_fds=[file.fileno() for file in self._keep])
        self.pid = self._process.pid
        _running.append(self)
        ready = wait_until(lambda: b"\n" in _content(self._out) or self._process.poll() is not None)
        said = re.search(rb"^listening on \S+:(\d+)", _content(self._out), re.MULTILINE)
        if not said:
            if b"\n" in _content(self._out):  # whether or not it has ended meanwhile
                happened = "its first line is another" + _quote(_content(self._out))
            elif ready:
                _expect_sound(self._name, self._process.poll(), _content(self._err))
                happened = f"it {_how_it_ended(self._process.poll())}{_quote(_content(self._err))}"
            else:
                happened = f"after {PATIENCE:g} seconds it had said nothing{_quote(_content(self._err))}"
            _report("the server to start, and to say \"listening on ADDRESS:PORT\"", happened,
                    self._look or f"{self._name}.c, main: what comes before it says so")
        self.port = int(said.group(1))
        return self

    def connect(self):
        """A new connection to the server, a socket whose waits end after PATIENCE."""
        try:
            return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        except OSError as error:
            wait_until(lambda: self._process.poll() is not None, 1)  # its listener is closed a moment before it has ended
            self.expect_sound()
            fail("the server to take a new connection", f"connect: {error.strerror or error}",
                 f"{self._name}.c: who has the listener open, and who closes it?")

    def stdout(self):
        """What the server has said on stdout so far, as text."""
        return _content(self._out).decode(errors="replace")

    def expect_sound(self):
        """Ends the test when the server has crashed, or ended without being asked to."""
        status, err = self._process.poll(), _content(self._err)
        _expect_sound(self._name, status, err)
        asked = self._ended_by_test or status in (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT)
        if status is not None and not asked:
            _report("the server to go on serving", f"it {_how_it_ended(status)}{_quote(err)}",
                    f"{self._name}.c: each exit, err and return that ends the master. Which of "
                    "them is for what happened in this step?")


def expect_echo(connection, data, look="", expected=None):
    """Sends `data` through the connection, and expects the same back."""
    expected = expected or (f"{_show(data)} to come back" if len(data) <= 20 else f"the same {len(data)} bytes back")
    received, sent, error = bytearray(), 0, None
    end = time.monotonic() + PATIENCE
    timeout = connection.gettimeout()
    connection.setblocking(False)
    while len(received) < len(data) and error is None:
        left = end - time.monotonic()
        readable, writable, _ = select.select([connection], [connection] if sent < len(data) else [], [], max(left, 0))
        try:
            if readable:
                part = connection.recv(min(65536, len(data) - len(received)))
                received += part
                if not part:
                    error = "the server closed the connection"
            elif writable:
                sent += connection.send(data[sent:sent + 65536])
            elif left <= 0:
                error = f"nothing more came in {PATIENCE:g} seconds" if received else \
                    f"nothing came in {PATIENCE:g} seconds"
        except BlockingIOError:
            pass
        except OSError as problem:
            error = f"the connection broke: {problem.strerror}"
    connection.settimeout(timeout)
    if error is None and received == data:
        return
    wrong = next((i for i, (a, b) in enumerate(zip(received, data)) if a != b), None)
    if wrong is not None:
        happened = (f"byte {wrong + 1} of {len(data)} came back as 0x{received[wrong]:02x} "
                    f"instead of 0x{data[wrong]:02x}")
    elif received:
        happened = f"{error}; {len(received)} of {len(data)} bytes had come back"
    else:
        happened = error
    fail(expected, happened, look)


def expect_reply(connection, data, look="", expected=None):
    """Expects `data`, which was sent through the connection before, to come back."""
    received, happened = b"", None
    while happened is None and len(received) < len(data):
        try:
            part = connection.recv(len(data) - len(received))
            received += part
            happened = None if part else "the server closed the connection"
        except socket.timeout:
            happened = f"nothing came in {PATIENCE:g} seconds"
        except OSError as error:
            happened = f"the connection broke: {error.strerror}"
    expect(happened is None and received == data, expected=expected or f"{_show(data)} to come back",
           happened=happened or f"{_show(received)} came", look=look)


def expect_replies(connections, data, look="", expected=None):
    """Expects the same from every one of the connections, in whatever order they are served; closes each then."""
    left = list(connections)
    expected = expected or f"every client to get its {_show(data)}"
    while left:
        ready = select.select(left, [], [], PATIENCE)[0]
        expect(ready, expected=expected, look=look,
               happened=lambda: f"{len(left)} of {len(connections)} got nothing in {PATIENCE:g} seconds")
        for connection in ready:
            expect_reply(connection, data, look, expected)
            connection.close()
            left.remove(connection)


def come(server, data):
    """A new client that has sent `data`, when the kernel has completed its connection: it is in the
    backlog, or served."""
    client = server.connect()
    client.sendall(data)
    if not wait_until(lambda: server_end(server, client) is not None, PATIENCE + 60):
        raise RuntimeError("connected, and not established at the other end")
    return client


def expect_served(server, connection, data, look="", expected=None):
    """Expects `data`, which was sent through the connection before, to come back. Gives up as soon
    as all processes of the server wait, and go on waiting for a second: then there is nobody who is
    going to serve it."""
    expected = expected or f"{_show(data)} to come back"
    _await_service(server, [connection], expected, look)
    expect_reply(connection, data, look, expected)


def expect_all_served(server, clients, look="", expected="every client to be served"):
    """The same of several: {connection: data}. They may be served in any order, and each is closed
    when it has been, so that a worker is free again."""
    left = dict(clients)
    while left:
        for connection in _await_service(server, list(left), expected, look):
            expect_reply(connection, left.pop(connection), look, expected)
            connection.close()


def _await_service(server, connections, expected, look):
    """Waits until something has come through one of the connections, or nobody is going to serve
    them."""
    quiet, end = 0, time.monotonic() + PATIENCE
    while not (ready := select.select(connections, [], [], 0.05)[0]):
        all_wait = all(state(pid) == "S" for pid in [server.pid, *server.living_children()])
        quiet = quiet + 1 if all_wait else 0
        expect(quiet < 20, expected=expected, look=look,
               happened="nothing came: all processes of the server wait")
        expect(time.monotonic() < end, expected=expected, look=look,
               happened=f"nothing came in {PATIENCE:g} seconds")
    return ready


def expect_stop(server, look=""):
    """Sends SIGTERM, and expects the server to end with exit status 0."""
    status = server.stop()
    expect(status == 0, expected="it to end with exit status 0", look=look,
           happened=lambda: f"after {PATIENCE:g} seconds it still ran" if status is None else
           f"it {_how_it_ended(status)}{_quote(server.stderr())}")


# ---- what /proc says -----------------------------------------------------------------------------

def state(pid):
    """A letter: R runs, S and D wait, T is stopped, Z is a zombie; None when there is no such process."""
    return (_stat(pid) or [None])[0]


def descriptors(pid):
    """The open descriptors of a process: {number: what it is, such as "socket:[123]"}."""
    found = {}
    for number in _listdir(f"/proc/{pid}/fd"):
        try:
            found[int(number)] = os.readlink(f"/proc/{pid}/fd/{number}")
        except OSError:
            pass  # closed since
    return found


def cpu_seconds(pid):
    """The CPU time that a process has used, user and system, in seconds; 0 when there is none."""
    stat = _stat(pid)
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK") if stat else 0.0


def flags(pid, number):
    """The flags of an open descriptor, as open(2) has them: O_NONBLOCK, O_CLOEXEC; 0 when it is not open."""
    try:
        found = re.search(r"^flags:\s*(\d+)", pathlib.Path(f"/proc/{pid}/fdinfo/{number}").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1], 8) if found else 0


def number_of(pid, inode):
    """The number under which a process has socket `inode` open (see server_end), or None."""
    return next((number for number, what in sorted(descriptors(pid).items()) if what == f"socket:[{inode}]"), None)


def sleeps(pid):
    """How often a process has gone to sleep so far, in whatever call; 0 when it has ended."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", text, re.MULTILINE)[1])


def wakes(*pids):
    """How often a process goes to sleep again within a second: of several, the one that does so
    most. Who waits for what does not come: 0. A process that is seen to wait, and has a number
    here, asks again and again, with a pause."""
    before = [sleeps(pid) for pid in pids]
    time.sleep(1)
    return max(sleeps(pid) - count for pid, count in zip(pids, before))


_CALLS = {"x86_64": {23: "select", 270: "select", 35: "sleep", 230: "sleep", 7: "poll",
                     271: "ppoll"},
          "aarch64": {72: "select", 101: "sleep", 115: "sleep", 73: "ppoll"},
          "riscv64": {72: "select", 101: "sleep", 115: "sleep", 73: "ppoll"}}


def call_of(pid):
    """The system call in which a process waits, "select", "sleep", "poll" or "ppoll", "another" for
    others, and its first argument. (None, None) when it runs, and where /proc/PID/syscall may not
    be read."""
    name, first, *_ = _waits_in(pid)
    return name, first


def has_time_out(pid):
    """True when a process waits for a certain time at most: select, poll, sleep. False, too, where
    that cannot be seen."""
    name, _, _, third, _, fifth, *_ = [*_waits_in(pid), None, None, None, None, None]
    return name == "sleep" or name == "select" and fifth != 0 or name == "ppoll" and third != 0 or \
        name == "poll" and third & 0xffffffff < 0x80000000  # an int, which is not negative


def has_mask(pid):
    """True when a process waits with a mask of signals of its own: pselect, ppoll. True, too, where that cannot be
    seen."""
    name, _, _, _, fourth, _, sixth, *_ = [*_waits_in(pid), *[None] * 6]
    if name == "select" and sixth:  # the address of the mask's address
        try:
            with open(f"/proc/{pid}/mem", "rb", 0) as memory:
                return any(os.pread(memory.fileno(), struct.calcsize("P"), sixth))
        except OSError:
            return True
    return bool(fourth) if name == "ppoll" else name not in ("select", "poll")


def _waits_in(pid):
    """The name of a call, as call_of() says, and its six arguments."""
    try:
        with open(f"/proc/{pid}/syscall", encoding="ascii") as file:
            number, *arguments = file.read().split()
        names = _CALLS.get(os.uname().machine)
        name = names and names.get(int(number), "another")
        return name, *(int(argument, 16) for argument in arguments[:6])
    except (OSError, ValueError):  # "running" is no number
        return None, None


def copy_of(pid, number):
    """A copy of a process's descriptor for this test, by pidfd_getfd(2); None where that is not allowed."""
    try:
        process = os.pidfd_open(pid)
    except OSError:
        return None
    copy = ctypes.CDLL(None, use_errno=True).syscall(438, process, number, 0)
    os.close(process)
    return copy if copy != -1 else None


def kill(*pids):
    """Kills processes, and waits until they are dead: zombies, or gone. All that they had open is closed then."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    # Nothing outlives SIGKILL. If it takes long the machine is at fault, not what is tested.
    if not wait_until(lambda: all(state(pid) in (None, "Z", "X") for pid in pids), PATIENCE + 60):
        raise RuntimeError(f"killed, and not dead: {pids}")


def rests(pid, patience=None):
    """True as soon as a process is seen to wait, a few times in a row; then it has dealt with all that was there for
    it to do. False when patience ends before, or it has used a second of CPU time: a process that spins is never seen
    to wait, busy as the machine is."""
    def waits():
        for _ in range(3):
            if state(pid) != "S":
                return False
            time.sleep(0.005)
        return True
    ended = False

    def waits_or_ended():
        nonlocal ended
        ended = state(pid) in (None, "Z", "X")
        return ended or waits()
    return wait_until(waits_or_ended, patience, by=[pid]) and not ended


def all_rest(pids):
    """Waits until all of these processes are seen to wait at the same time, a few times in a row,
    and gives true; false when patience ends before, or they have used a second of CPU time. Those
    that have ended do not count."""
    def wait():
        for _ in range(3):
            if any(state(pid) not in ("S", "T", "Z", "X", None) for pid in pids):
                return False
            time.sleep(0.005)
        return True
    return wait_until(wait, by=pids)


def expect_rest(server, look):
    """Expects all processes of the server to wait: they have dealt with all that there is to do."""
    expect(all_rest([server.pid, *server.living_children()]),
           expected="all processes to sleep when there is nothing to do",
           happened="one of them goes on and on: it spins", look=look)


def settle(server):
    """Waits until every process of a server waits; after the start of a pool: until all its workers are idle."""
    return all(rests(pid) for pid in [*server.living_children(), server.pid])


def server_end(server, connection):
    """The server's end of a connection, as the kernel knows it: 0 while it waits in the backlog, then the number in
    "socket:[NUMBER]" of descriptors(). None when it is not established: not yet, or closed."""
    for local, remote, tcp_state, _, inode in tcp_sockets():
        if (local, remote, tcp_state) == (server.port, connection.getsockname()[1], 1):
            return inode
    return None


def holders(server, connection):
    """The processes of the server that have their end of the connection open: the master, children, or nobody."""
    end = server_end(server, connection)
    return [pid for pid in [server.pid, *server.living_children()] if f"socket:[{end}]" in descriptors(pid).values()]


def listener_of(server):
    """The number of the master's listener, or None."""
    listeners = [inode for local, _, tcp_state, _, inode in tcp_sockets() if (local, tcp_state) == (server.port, 10)]
    return next((number for inode in listeners if (number := number_of(server.pid, inode)) is not None), None)


def backlog(server):
    """How many connections are established that the server has not accepted yet."""
    return sum(waiting for local, _, tcp_state, waiting, _ in tcp_sockets() if (local, tcp_state) == (server.port, 10))


@contextlib.contextmanager
def no_more_processes(server):
    """For as long as the block lasts, the master cannot fork: its user has more processes than it may then have."""
    before = resource.prlimit(server.pid, resource.RLIMIT_NPROC)
    resource.prlimit(server.pid, resource.RLIMIT_NPROC, (1, before[1]))
    try:
        yield
    finally:
        if state(server.pid) not in (None, "Z", "X"):
            resource.prlimit(server.pid, resource.RLIMIT_NPROC, before)


@contextlib.contextmanager
def no_hand_over(server):
    """For as long as the block lasts, the master cannot pass a descriptor on (ETOOMANYREFS in unix(7)): more of this
    user's are on their way than it may have open. It may still open one or two."""
    before, most = resource.prlimit(server.pid, resource.RLIMIT_NOFILE), max(descriptors(server.pid)) + 3
    ours, theirs = socket.socketpair()
    with ours, theirs, open("/dev/null", "rb") as file:
        socket.send_fds(ours, [b"x"], [file.fileno()] * (most + 1))
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (most, before[1]))
        try:
            yield
        finally:
            if state(server.pid) not in (None, "Z", "X"):
                resource.prlimit(server.pid, resource.RLIMIT_NOFILE, before)


def tcp_sockets():
    """/proc/net/tcp: for each socket its two ports, state, bytes (of a listener: connections) that wait, inode."""
    with open("/proc/net/tcp", encoding="ascii") as file:
        for fields in map(str.split, list(file)[1:]):
            local, remote = (int(address.rpartition(":")[2], 16) for address in fields[1:3])
            yield local, remote, int(fields[3], 16), int(fields[4].partition(":")[2], 16), int(fields[9])


def _stat(pid):
    """/proc/PID/stat from the state on: [state, ppid, pgrp, session, ...]; [] when there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return []


def _forked(pid):
    """False for what a sanitizer makes beside a process that ends, to look for its leaks, and for what has gone.

    It is made by clone(2) without a signal for its end, field 38 of proc_pid_stat(5); fork sends SIGCHLD.
    """
    return _stat(pid)[35:36] not in ([], ["0"])


def _listdir(path):
    try:
        return os.listdir(path)
    except OSError:
        return []


def _all_processes():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


# ---- inside --------------------------------------------------------------------------------------

def _start(program, args, env, taken=(), **more):
    path = _programs / program
    if not os.access(path, os.X_OK):
        sys.exit(f"{_NAME}: {path}: not there")
    command = [str(path), *map(str, args)]
    if taken:
        command = ["sh", "-c", 'exec "$0" "$@" ' + " ".join(f"{number}</dev/null" for number in taken), *command]
    return subprocess.Popen(command, env={**os.environ, **(env or {})}, start_new_session=True,
                            **more)


def _end_session(process):
    """Kills all that is left of the session that `process` leads or led, and reaps it."""
    def members():
        return [pid for pid in _all_processes()
                if _stat(pid)[3:4] == [str(process.pid)] and state(pid) not in (None, "Z", "X")]
    while members():
        for pid in members():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.001)
    process.wait()


def _content(file):
    """All that was written to a file so far, wherever it stands."""
    return os.pread(file.fileno(), 1 << 20, 0)


def _how_it_ended(status):
    if status >= 0:
        return f"ended with exit status {status}"
    return f"was ended by signal {-status}, {signal.Signals(-status).name} ({signal.strsignal(-status)})"


_CRASHES = [-signal.SIGSEGV, -signal.SIGBUS, -signal.SIGABRT, -signal.SIGFPE, -signal.SIGILL, -signal.SIGSYS,
            -signal.SIGTRAP]
_SANITIZER = re.compile(r"^.*(ERROR: \w+Sanitizer|: runtime error: ).*", re.MULTILINE)


def _expect_sound(program, status, err):
    """Ends the test when a program crashed, or a sanitizer found something. `err` is what it said on stderr."""
    text = err.decode(errors="replace")
    found = _SANITIZER.search(text)
    if found:
        _report(f"{program} to run without a finding of the sanitizers", "they found" + _quote(text[found.start():], 6),
                "the first line with a file of yours")
    if status in _CRASHES:
        _report(f"{program} to run without a crash", f"it {_how_it_ended(status)}{_quote(err)}",
                "where it crashed: gdb --args PROGRAM, then `run` and `backtrace`; or build it with "
                "CFLAGS='-g -fsanitize=address,undefined'")


def _quote(text, lines=3):
    """The first lines of an output, to be put behind a sentence."""
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    first = [line.rstrip()[:200] for line in text.splitlines() if line.strip()][:lines]
    return ("; it said:\n" + "\n".join(_printable(line) for line in first)) if first else ""


def _printable(text):
    return "".join(c if c.isprintable() else "?" for c in text)


def _show(data):
    text = "".join(chr(b) if 32 <= b < 127 and b not in b"\\\"" else f"\\x{b:02x}" for b in data)
    return f'"{text}"'


def _labelled(label, text):
    """A text behind a label, in lines that fit 80 columns; and so what it quotes, line by line."""
    first, *quoted = str(text).split("\n")
    lines = textwrap.wrap(first, 78 - 13, break_on_hyphens=False) or [""]
    for line in quoted:
        lines += textwrap.wrap(line, 78 - 13, initial_indent="  ", subsequent_indent="    ",
                               break_on_hyphens=False)
    return "\n".join(f"  {label if i == 0 else '':<11}{line}".rstrip() for i, line in enumerate(lines))


def _report(expected, happened, look):
    """Prints what went wrong, and ends the test."""
    look = look or _step_look or "what it does in this step: `strace -f` before the program " \
                                 "shows each call"
    print(f"{_NAME}: not yet")
    for label, text in (("The test", _step), ("Expected", expected), ("Happened", happened), ("Look at", look)):
        if text:
            print(_labelled(label, text))
    sys.stdout.flush()
    for server in _running:
        _end_session(server._process)
    if _verdict is not None:  # a status of 1 alone is also what Python ends with when the test cannot even begin
        what = " ".join(str(happened).split("\n", maxsplit=1)[0].split()).rstrip(":")
        os.write(_verdict, f"not yet {len(set(_places) - set(_places[-1:]))} {what[:1000]}\n".encode(errors="replace"))
    os._exit(_NOT_YET)


def _unforeseen(kind, value, trace):
    """An exception that nobody caught. A connection that broke is the program's doing; all else is ours."""
    if issubclass(kind, (ConnectionError, socket.timeout)):
        if issubclass(kind, socket.timeout):
            fail("an answer", f"nothing came in {PATIENCE:g} seconds", _step_look or
                 "who is to send it, and what does that process wait for? strace -p shows the call")
        fail("the connection to hold", f"the connection broke: {value.strerror or value}",
             _step_look or "who ends the connection, and how? It is reset when its last descriptor "
             "is closed before all that the client has sent is read, and with SO_LINGER: tcp(7), "
             "socket(7)")
    print(f"{_NAME}: the test itself broke, which is no fault of yours", file=sys.stderr)
    traceback.print_exception(kind, value, trace)
    sys.stderr.flush()
    for server in _running:
        _end_session(server._process)
    os._exit(_BROKEN)


# ---- programs that are watched while they run ----------------------------------------------------

class Piped(Process):
    """A program that the test talks to through pipes: `with Piped("count") as program`.

    Its standard input is a pipe from the test, or a file of the bytes `source`. Its output waits in a pipe until the
    test takes it: a program that writes more than the pipe holds is held up. What was taken is in .out.
    """

    def __init__(self, program, *args, source=None, env=None):
        super().__init__(program, *args, env=env)
        self._source, self._in, self.out = source, None, bytearray()

    def __enter__(self):
        self._err = tempfile.TemporaryFile()
        with tempfile.TemporaryFile() as file:
            file.write(self._source or b"")
            file.seek(0)
            self._process = _start(self._name, self._args, self._env, bufsize=0, stdout=subprocess.PIPE,
                                   stdin=subprocess.PIPE if self._source is None else file, stderr=self._err)
        self._in, self._out, self.pid = self._process.stdin, self._process.stdout, self._process.pid
        for pipe in filter(None, (self._in, self._out)):
            os.set_blocking(pipe.fileno(), False)
        _running.append(self)
        return self

    def __exit__(self, kind, value, trace):
        if self._in:
            self._in.close()
        super().__exit__(kind, value, trace)

    def stdout(self):
        """What was taken of the output so far, as text."""
        return self.out.decode(errors="replace")

    def feed(self, data):
        """Gives the program input, and takes no output. Gives back what it does not take, asleep, ended or spinning."""
        end, spins = time.monotonic() + PATIENCE, Spin(self.processes)
        while data and time.monotonic() < end:
            if select.select([], [self._in], [], 0.05)[1]:
                try:
                    data = data[self._in.write(data) or 0:]
                except BrokenPipeError:
                    break
                end = time.monotonic() + PATIENCE
                spins.moved()
            elif (asleep(*self.processes()) or spins) and not select.select([], [self._in], [], 0)[1]:
                break
        return data

    def collect(self, enough):
        """Takes output until `enough()` is true of .out; gives false when the program ends, sleeps or spins before."""
        end, spins = time.monotonic() + PATIENCE, Spin(self.processes)
        while not enough():
            if select.select([self._out], [], [], 0.05)[0]:
                part = self._out.read(65536)
                if part == b"":
                    return False
                self.out += part or b""
                spins.moved()
            elif (time.monotonic() > end or asleep(*self.processes()) or spins) and \
                    not select.select([self._out], [], [], 0)[0]:
                break
        return bool(enough())

    def finish(self, data=b""):
        """Gives the program input, then end-of-file, and takes its output meanwhile; waits until it has ended.

        Gives its exit status; None when it moved no byte for as long as PATIENCE, or in a second of CPU time, or when
        all its processes sleep, for a second, though nothing is held up by the test: they wait for each other, or for
        what never comes.
        """
        end, quiet, output_ends, spins = time.monotonic() + PATIENCE, 0, False, Spin(self.processes)
        while not output_ends and quiet < 20 and time.monotonic() < end:
            if self._in and not data:
                self._in.close()
            readable, writable, _ = select.select([self._out], [self._in] if data else [], [], 0.05)
            if readable:
                part = self._out.read(65536)
                self.out += part or b""
                output_ends = part == b""
            if writable:
                try:
                    data = data[self._in.write(data[:65536]) or 0:]
                except BrokenPipeError:
                    data = b""
            if readable or writable:
                end, quiet = time.monotonic() + PATIENCE, 0
                spins.moved()
            elif spins:
                break
            else:
                quiet = quiet + 1 if all(state(pid) == "S" for pid in self.processes()) else 0
        return self.wait(PATIENCE if output_ends else 0)

    def processes(self):
        """The process ids of all that lives of the program: the process that was started, and all below it."""
        return [pid for pid in _all_processes()
                if _stat(pid)[3:4] == [str(self.pid)] and state(pid) not in (None, "Z", "X")]


def child_with_channel(program, does, look):
    """The child of a program, which `does` something; expects that there is one, and in both an end of a channel."""
    def ended(pid):
        return state(pid) in ("Z", "X", None)

    wait_until(lambda: program.living_children() or ended(program.pid), by=[program.pid])
    child = next(iter(program.living_children()), None)
    expect(child, expected=f"a child that {does}", happened=lambda: f"none lives{_quote(program.stderr())}", look=look)

    def has_socket(pid):
        return any(what.startswith("socket:") for what in descriptors(pid).values())

    def linked():
        return has_socket(program.pid) and has_socket(child)
    wait_until(lambda: linked() or ended(child), by=[program.pid, child])
    expect(linked(), expected=f"a channel to the child that {does}: an end of a socketpair in each process",
           happened=lambda: " and ".join(f"the {name} has {'an end' if has_socket(pid) else 'none'}"
                                         for name, pid in (("parent", program.pid), ("child", child)))
           + _quote(program.stderr()), look=look)
    return child


def stop_process(pid):
    """Stops a process (SIGSTOP), and waits until it stands still, or has ended."""
    send_signal(pid, signal.SIGSTOP)
    wait_until(lambda: state(pid) in ("T", "Z", "X", None))


def asleep(*pids):
    """True when none of these processes runs, or spins: each waits, and goes on waiting, or has ended.

    One that ends may wait for a child that a sanitizer has made to look for leaks: it does not sleep.
    """
    for _ in range(20):
        if any(state(pid) in ("R", "D", "t") for pid in pids):
            return False
        time.sleep(0.005)
    return not any(_stat(child)[1:2] == [str(pid)] and state(child) in ("R", "D", "t")
                   for pid in pids for child in _all_processes())


def send_signal(pid, number):
    """kill(2), but a process that has ended is no error."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def answer(connection, data, look=""):
    """Sends `data` through the connection, and then end-of-file; gives all that comes back until its end-of-file."""
    received, timeout, ended = bytearray(), connection.gettimeout(), False
    connection.setblocking(False)
    while True:
        readable, writable, _ = select.select([connection], [] if ended else [connection], [], PATIENCE)
        if not readable and not writable:
            fail("end-of-file once all has come back",
                 f"{len(received)} bytes came, and then nothing for {PATIENCE:g} seconds", look)
        try:
            if readable:
                part = connection.recv(65536)
                if not part:
                    connection.settimeout(timeout)
                    return bytes(received)
                received += part
            elif data:
                data = data[connection.send(data[:65536]):]
            else:
                connection.shutdown(socket.SHUT_WR)
                ended = True
        except BlockingIOError:
            pass
        except OSError as problem:
            fail("the connection to hold", f"it broke when {len(received)} bytes had come: {problem.strerror}", look)


def quoted(data):
    """Some bytes, to be shown to the learner: "ab\\x00cd"."""
    return _show(data[:16]).replace("\\x0a", "\\n") + (" and so on" if len(data) > 16 else "")


# ---- programs that the test talks to while they run ----------------------------------------------

class Attached:
    """A program that runs while the test deals with it, as a context manager: `with Attached("give", ...) as program`.

    `stdin` is a socket or file for its descriptor 0, `stderr` a file in the place of the one that err() reads; those in
    `keep` it inherits under their own numbers, and /dev/null under those in `taken`, of one digit; `files` is its limit
    of descriptors. When the block is left, all that lives in its session is killed.
    """

    def __init__(self, program, *args, stdin=subprocess.DEVNULL, stderr=None, keep=(), taken=(), files=None, cwd=None,
                 env=None):
        def limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
        self._name, self._args, self._env, self._other_err = program, args, env, stderr
        self._more = {"stdin": stdin, "taken": taken, "pass_fds": [file.fileno() for file in keep], "cwd": cwd,
                      "preexec_fn": limit if files else None}

    def __enter__(self):
        self._out, self._err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        self._process = _start(self._name, self._args, self._env, stdout=self._out,
                               stderr=self._other_err or self._err, **self._more)
        self.pid = self._process.pid
        _running.append(self)
        return self

    def __exit__(self, kind, value, trace):
        _running.remove(self)
        _end_session(self._process)
        if kind is None:
            self.expect_sound()
        self._out.close()
        self._err.close()

    def out(self):
        """What it has said on stdout so far, as text."""
        return _content(self._out).decode(errors="replace")

    def err(self):
        """What it has said on stderr so far, as text."""
        return _content(self._err).decode(errors="replace")

    def status(self):
        """Its exit status (negative: the signal that ended it), None while it runs."""
        return self._process.poll()

    def wait(self, patience=None):
        """Waits until it has ended; gives its status, None when it has not."""
        wait_until(lambda: self.status() is not None, patience)
        return self.status()

    def how_it_ended(self):
        """In words, with what it said."""
        if self.status() is None:
            return "still runs"
        said = self.out() + self.err()
        if "Traceback (most" in said:  # Python's last line has the reason
            said = said.strip().splitlines()[-1]
        return _how_it_ended(self.status()) + _quote(said)

    def expect_sound(self):
        """Ends the test when the program has crashed, or a sanitizer found something."""
        _expect_sound(self._name, self.status(), _content(self._err))


def children_of(pid, dead=False):
    """The living children of a process, in ascending order; with `dead` those too that it has not reaped yet."""
    return sorted(child for child in _all_processes() if _stat(child)[1:2] == [str(pid)]
                  and state(child) not in ((None,) if dead else (None, "Z", "X")) and _forked(child))


def session_of(pid):
    """The living processes of the session that `pid` leads or led, in ascending order."""
    return sorted(member for member in _all_processes()
                  if _stat(member)[3:4] == [str(pid)] and state(member) not in (None, "Z", "X") and _forked(member))


def program_path(program):
    """Where a program was built, as an absolute path."""
    return str(_programs / program)
