"""Tests in Python, told in TAP as prove wants them: some after each other, some side by side.

    def test_two_and_two_are_four():
        tap.equal(2 + 2, 4)

    tap.run(vars())

TEST_ONLY is a pattern of names, as for the tests in C; TEST_SECONDS bounds the whole.
"""
import concurrent.futures
import contextlib
import ctypes
import fcntl
import fnmatch
import os
import pathlib
import signal
import socket
import struct
import sys
import textwrap
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = ROOT / os.environ.get("BUILD", "build")
COLUMNS = 80  # of the terminal, at least
sys.dont_write_bytecode = True


def time_from(name, otherwise):
    """A time from the environment, in whole seconds."""
    text = os.environ.get(name) or str(otherwise)
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        sys.exit(f"{os.path.basename(sys.argv[0])}: {name}={text}: say how many seconds, "
                 f"such as {name}={otherwise}")
    return int(text)


PATIENCE = time_from("TEST_PATIENCE", 60)

_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


# ---- what is expected ----------------------------------------------------------------------------

class Failed(Exception):
    """What a test wanted, and what it got."""


def expect(ok, what):
    if not ok:
        raise Failed(what)


def expect_in(part, text):
    """White space is equal to any other: texts are wrapped."""
    expect(" ".join(part.split()) in " ".join(text.split()), f"wanted: {part}\ngot: {text}")


def equal(got, wanted):
    assert got == wanted, f"wanted {wanted!r}, got {got!r}"


def raises(kind, function, *arguments):
    """Gives the text of the exception."""
    try:
        function(*arguments)
    except kind as error:
        return str(error)
    raise AssertionError(f"no {kind.__name__}")


def adopt_orphans():
    """From here on, what is left behind by whatever we start becomes our child: no_child_left()."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def own_network():
    """Goes on in a network of its own with nothing in it but loopback, where that is allowed.

    And those that sandboxes make from there have tables of TCP sockets of their own, small ones. Else all networks share
    one, made for all the memory of the machine, and each look at /proc/net/tcp goes through all of it: 5 ms.
    """
    for _ in range(2):
        if _libc.unshare(0x40000000) != 0:  # CLONE_NEWNET
            return
        with contextlib.suppress(OSError):  # before Linux 6.1
            pathlib.Path("/proc/sys/net/ipv4/tcp_child_ehash_entries").write_text("256", encoding="ascii")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", 0x1 | 0x40)  # IFF_UP | IFF_RUNNING
        fcntl.ioctl(any_socket, 0x8914, request)  # SIOCSIFFLAGS


def no_child_left():
    """Fails when anything that we started still lives, however deep, or is a zombie for ever."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.01)  # the kernel ends a namespace; or it lives
        except ChildProcessError:
            return
    living = [pid for pid in os.listdir("/proc") if pid.isdigit() and parent(pid) == os.getpid()]
    names = [pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
             for pid in living]
    for pid in living:
        os.kill(int(pid), signal.SIGKILL)
    raise Failed(f"still there: {names}")


def parent(pid):
    try:
        return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


# ---- running them --------------------------------------------------------------------------------

def run(tests, together=4, seconds=300, last=(), proofs=(), stop=lambda: None):
    """Runs tests side by side, then `last` one by one, and in any case `proofs`. Prints TAP, exits.

    Each is a pair of name and function. Or `tests` is vars(): the functions of a module whose names
    begin with "test_"; these run one by one. `stop` ends what runs side by side when we are ended.
    """
    if isinstance(tests, dict):
        last = [(name[5:], test) for name, test in tests.items() if name.startswith("test_")]
        tests = []
    only = os.environ.get("TEST_ONLY") or "*"
    tests, last = ([test for test in some if fnmatch.fnmatchcase(test[0], only)]
                   for some in (tests, last))
    if not tests and not last:
        sys.exit(f"{os.path.basename(sys.argv[0])}: TEST_ONLY={only}: no test has such a name")
    last += proofs
    bound = time_from("TEST_SECONDS", seconds)
    signal.signal(signal.SIGALRM, lambda *_: out_of_time(bound))
    for number in signal.SIGINT, signal.SIGTERM:  # a shell that starts us with & ignores the first
        signal.signal(number, signal.default_int_handler)
    signal.alarm(bound)
    failed = 0
    print(f"1..{len(tests) + len(last)}", flush=True)
    with concurrent.futures.ThreadPoolExecutor(together) as pool:
        futures = [pool.submit(verdict, function) for _, function in tests]
        try:
            for number, ((name, _), future) in enumerate(zip(tests, futures), 1):
                failed += say(number, name, future.result())
        except BaseException:
            for future in futures:
                future.cancel()
            stop()
            raise
    for number, (name, function) in enumerate(last, len(tests) + 1):
        failed += say(number, name, verdict(function))
    sys.exit(1 if failed else 0)


def verdict(function):
    """None when all was well, "skip: why", or the reason of the failure."""
    try:
        why = function()
        return f"skip: {why}" if why else None
    except Failed as failed:
        return str(failed)
    except Exception:  # pylint: disable=broad-except
        return traceback.format_exc()


def say(number, name, problem):
    skipped = problem and problem.startswith("skip: ")
    line = f"{'ok' if not problem or skipped else 'not ok'} {number} - {name}"
    print(line + (why_skipped(problem[6:], COLUMNS - len(line)) if skipped else ""))
    if problem and not skipped:  # on stderr, for prove shows no more of the rest than its number
        print("\n".join(f"#   {line}" for line in problem.splitlines()), file=sys.stderr,
              flush=True)
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read has had enough: make facts | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(128 + signal.SIGPIPE)
    return 1 if problem and not skipped else 0


def why_skipped(reason, room):
    """What stands behind the name of a test, and in lines of comment what finds no room there."""
    reason = " ".join(reason.split())
    if len(f" # SKIP {reason}") <= room:
        return f" # SKIP {reason}"
    return "\n".join([" # SKIP", *textwrap.wrap(reason, COLUMNS, initial_indent="#   ",
                                                subsequent_indent="#   ")])


def out_of_time(bound):
    print(f"Bail out! not over after {bound} seconds", file=sys.__stdout__, flush=True)
    raise KeyboardInterrupt
