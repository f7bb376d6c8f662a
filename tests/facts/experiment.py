"""What the texts claim about the system, as experiments: see facts.py, which runs them."""
import array
import collections
import contextlib
import errno
import os
import pathlib
import resource
import select
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "common/report"))
import terminal  # noqa: E402

FACTS = collections.OrderedDict()  # by name
SECONDS = 10  # that a wait may last

checks = 0  # that the experiment which runs has made; facts.py sets it to 0
turned = 0  # the one of them that is answered wrongly, on purpose; 0: none
os.register_at_fork(after_in_child=lambda: globals().update(turned=0))  # not in who only helps
blocked, _open = os.pipe()  # a read from the first waits until the process is ended


class Refuted(Exception):
    """The system did something else."""


class CannotTry(Exception):
    """Here the experiment is not possible; the text is the reason."""


def fact(claim):
    """Makes an experiment of a function, which is called by its name with hyphens; CLAIM is as the texts say it."""
    def note(function):
        FACTS[function.__name__.replace("_", "-")] = claim, function
        return function
    return note


def say(what, answer):
    """A step, and what the system answered."""
    print(terminal.wrapped(f"{what}: {answer}", "  ", "    "))
    return answer


def check(right, otherwise):
    """All that can refute a claim comes through here, so that each can be turned round, once."""
    globals()["checks"] += 1
    if not right or checks == turned:
        raise Refuted(otherwise)


def expect(what, answer, wanted):
    """A step that the claim depends on."""
    check(say(what, answer) == wanted, f"{what}: {answer}, and not {wanted}")


def expect_between(what, answer, least, most):
    check(least <= say(what, answer) <= most, f"{what}: {answer}, and not {least} to {most}")


def outcome(function, *arguments):
    """What a call returns, or the name of its error."""
    try:
        return function(*arguments)
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))


def wait_for(condition, what):
    end = time.monotonic() + SECONDS
    while not (there := condition()) and time.monotonic() < end:
        time.sleep(0.005)
    check(there, f"{what}: not within {SECONDS} seconds")


# ---- processes -----------------------------------------------------------------------------------

@contextlib.contextmanager
def child(function):
    """A forked process that runs this, and is ended."""
    pid = os.fork()
    if pid == 0:
        try:
            function()
        finally:
            os._exit(0)
    try:
        yield pid
    finally:
        with contextlib.suppress(ChildProcessError):  # it has been reaped
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                os.kill(pid, 9)
                os.waitpid(pid, 0)


def output(*command):
    """What a program prints; it cannot be tried where there is none, or it may not."""
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    except FileNotFoundError:
        raise CannotTry(f"there is no {command[0]}") from None
    if result.returncode != 0:
        raise CannotTry(result.stderr.strip() or f"{command[0]} ended with status {result.returncode}")
    return result.stdout.strip()


def need_root(why):
    if os.geteuid() != 0:
        raise CannotTry(f"only root may {why}")


def state(pid):
    """R, S, Z and so on: proc(5), /proc/PID/stat."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        return stat.read().rpartition(")")[2].split()[0]


def asleep(pid):
    """True when a process waits in a call."""
    return state(pid) == "S"


@contextlib.contextmanager
def at_the_limit(room=0):
    """Where only so many descriptors more can be opened; gives the number of the next one."""
    old = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + room, old[1]))  # those below are taken
    try:
        yield lowest
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, old)


@contextlib.contextmanager
def pipe():
    """Its two ends, read and write, open for so long."""
    read, write = os.pipe()
    try:
        yield read, write
    finally:
        os.close(read)
        os.close(write)


def answer_of(function, *arguments):
    """What a call gives in a process of its own."""
    read, write = os.pipe()
    with child(lambda: os.write(write, str(outcome(function, *arguments)).encode())):
        os.close(write)
        with os.fdopen(read) as answer:
            text = answer.read()
    check(text, "the process has failed")
    return text


@contextlib.contextmanager
def waiter(function):
    """A child that waits in this; gives its number, and what is readable when it has waited."""
    def wait():
        function()
        os.write(tell, b"x")
        os.read(blocked, 1)

    with pipe() as (told, tell), child(wait) as pid:
        wait_for(lambda: asleep(pid), "that it waits")
        yield pid, told


def waits(pid, told):
    """True if nobody has woken it: whoever is woken runs, and tells before it sleeps again."""
    return asleep(pid) and not readable(told, 0)


# ---- descriptors that travel ---------------------------------------------------------------------

RIGHTS = socket.SOL_SOCKET, socket.SCM_RIGHTS


def rights(*fds):
    return [(*RIGHTS, array.array("i", fds))]


def received(channel, room=1, count=1, flags=0):
    """The bytes, the descriptors, and the flags of a message."""
    data, control, flags, _ = channel.recvmsg(room, socket.CMSG_SPACE(4 * count), flags)
    fds = [fd for level, kind, part in control if (level, kind) == RIGHTS
           for fd in array.array("i", part[:len(part) // 4 * 4])]
    return data, fds, flags


# ---- TCP -----------------------------------------------------------------------------------------

def listener(*options):
    """One on a free port of the loopback, with these options of SOL_SOCKET."""
    made = socket.socket()
    for option in options:
        made.setsockopt(socket.SOL_SOCKET, option, 1)
    made.bind(("127.0.0.1", 0))
    made.listen()
    return made


def connected(*options):
    """Both ends of a connection, and its listener: client, server, listener."""
    at = listener(*options)
    client = socket.create_connection(at.getsockname(), timeout=SECONDS)
    server, _ = at.accept()
    server.settimeout(SECONDS)
    return client, server, at


def reset(end):
    """Closes it with a RST instead of a FIN."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    end.close()


def tcp_state(end):
    """The state of a connection as the kernel has it: TCP_ESTABLISHED is 1, TCP_CLOSE 7, TCP_CLOSE_WAIT 8."""
    return end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


def readable(end, seconds=SECONDS):
    return bool(select.select([end], [], [], seconds)[0])
