#!/usr/bin/env python3
"""Test of common/lab/live.py: every server without a terminal, and one on a terminal, key by key."""
import contextlib
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import sys
import termios
import time
import types
import unittest.mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import screen  # noqa: E402
import tap  # noqa: E402

sys.path.insert(0, str(tap.ROOT / "common/report"))
import chapters  # noqa: E402
import registry  # noqa: E402

sys.path.insert(0, str(tap.ROOT / "common/lab"))
import live  # noqa: E402

LIVE = tap.ROOT / "common/lab/live.py"


def test_the_backlog_is_that_of_all_listeners():
    first = socket.create_server(("127.0.0.1", 0), reuse_port=True, backlog=16)
    address = first.getsockname()
    others = [socket.create_server(address, reuse_port=True, backlog=16) for _ in range(3)]
    clients = [socket.create_connection(address) for _ in range(9)]
    tap.equal(live.Server.backlog(types.SimpleNamespace(port=address[1])), (9, 64))
    for each in [first, *others, *clients]:
        each.close()
    tap.equal(live.Server.backlog(types.SimpleNamespace(port=address[1])), ("-", "-"))


class View:
    """live.py on a terminal of so many lines and columns, and what is to be read there."""

    def __init__(self, name, lines=24, columns=80):
        self.pid, self.terminal = screen.start([str(LIVE), name], columns, lines)
        self.all = b""
        self.before = termios.tcgetattr(self.terminal)

    def read(self):
        """More of what it writes. Returns False at the end."""
        if not select.select([self.terminal], [], [], tap.PATIENCE)[0]:
            raise tap.Failed("it draws nothing")
        try:
            self.all += os.read(self.terminal, 65536)
        except OSError:  # EIO: nobody has the terminal open any more
            return False
        return True

    def page(self):
        """The last whole page."""
        pages = re.findall(rb"\033\[H(.*?)\033\[J", self.all, re.S)
        return pages[-1].replace(b"\033[K", b"").decode().replace("\r\n", "\n") if pages else ""

    def wait_for(self, what):
        """Waits for a page in which this is found; gives what was found."""
        end = time.monotonic() + tap.PATIENCE
        while not (found := re.search(what, self.page(), re.M)):
            tap.expect(time.monotonic() < end, f"wanted: {what}\ngot: {self.page()}")
            tap.expect(self.read(), f"it has ended: {self.all.decode()}")
        return found

    def press(self, key):
        os.write(self.terminal, key.encode())

    def end(self):
        """Reads to the end, and gives the exit status."""
        while self.read():
            pass
        os.close(self.terminal)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@contextlib.contextmanager
def on_screen(name, **size):
    tap.adopt_orphans()
    view = View(name, **size)
    try:
        yield view
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(view.pid, signal.SIGTERM)
        with contextlib.suppress(ChildProcessError, OSError):
            view.end()
        tap.no_child_left()


def until_it_has_served(name):
    """What live.py writes without a terminal until the server has served somebody."""
    out = ""
    with subprocess.Popen([LIVE, name, "1000"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:
        served = re.compile(r"second, [1-9][\d,]* so far.*\n\n\n", re.S)
        while not served.search(out) and (line := process.stdout.readline()):
            out += line
        process.terminate()
        rest, errors = process.communicate()
        tap.equal((process.returncode, errors), (128 + signal.SIGTERM, "\nlive.py: stopped\n"))
    return out + rest


def test_every_server_is_shown_without_a_terminal_too():
    for name in registry.servers():
        out = until_it_has_served(name)
        tap.expect(out.startswith(registry.label(name)), out)
        tap.expect("\033" not in out and max(map(len, out.splitlines())) <= 80, out)
        roles = chapters.roles(name.partition("-")[0])
        for who in roles.first, *roles.own:
            tap.expect(re.search(rf"^{who} +\d+ +\w+", out, re.M), out)
        queue = re.search(r"^\d.*; backlog: \d+ of \d+, queue: \d+$", out, re.M)
        tap.equal(bool(queue), bool(roles.own))


def test_where_nobody_says_who_serves_nothing_is_said_of_that():
    row = r"^worker 1 +\d+ .* \d+ %  +\d+"
    for name, served in ("07", r" +\d+"), ("07-exec", ""):
        out = until_it_has_served(name)
        tap.expect(re.search(rf"{row}{served}(  \d at work)?$", out, re.M), out)


def test_messages_in_a_queue_are_counted_whatever_their_size():
    for size in 1, 16:
        ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for number in range(3):
            ends[0].send(bytes(size))
            process = live.Process(os.getpid(), "ear", "R", 0, 0)
            server = types.SimpleNamespace(roles=chapters.Roles("chief", "hand {}", ("ear",)))
            held = {3: os.readlink(f"/proc/self/fd/{ends[0].fileno()}")}
            with unittest.mock.patch.object(live.tables, "descriptors", return_value=held):
                tap.equal(live.Server.in_queue(server, [process]), number + 1)
            tap.equal(live.Server.in_queue(server, [process._replace(called="any")]), None)
        for end in ends:
            end.close()


def test_it_ends_after_the_time_that_it_is_given():
    result = subprocess.run([LIVE, "04", "0.1"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    tap.equal((result.returncode, result.stderr), (0, ""))


def test_a_worker_that_is_killed_has_a_successor():
    with on_screen("04") as view:
        first = view.wait_for(r"^worker 1 +(\d+)")[1]
        view.press("k")
        view.wait_for(rf"worker {first} died of signal 9")
        view.wait_for(rf"(?s)^worker 1 +(?!{first}\b)\d+.*^1 ended ")


def test_one_that_is_stopped_says_so_until_it_goes_on():
    with on_screen("04") as view:
        pid = view.wait_for(r"^worker 1 +(\d+)")[1]
        view.press("z")
        view.wait_for(rf"{pid}  stopped")
        view.press("z")
        view.wait_for(rf"{pid}  (waits|runs)")


def test_silent_clients_hold_all_workers_and_the_others_wait():
    with on_screen("05") as view:
        view.wait_for(r"^worker 4 ")
        view.press("ssss")
        view.wait_for(r"(?s)load: 4 clients, and 4 silent\n0 connections a second.*backlog: [1-9]\d* of "
                        r".*(1 silent.*){4}")
        view.press("l")
        view.wait_for(r"and 0 silent\n[1-9]\d* connections a second")


def test_who_serves_nobody_has_a_key_of_its_own():
    with on_screen("07", lines=25) as view:
        acceptor = view.wait_for(r"^acceptor +(\d+)")[1]
        worker = view.wait_for(r"^worker 1 +(\d+)")[1]
        view.wait_for("^  a    kill the acceptor$")
        view.press("k")
        view.wait_for(rf"(?s)^acceptor +{acceptor}\b.*^worker 1 +(?!{worker}\b)\d+.*"
                      f"worker {worker} died of signal 9")
        view.press("a")
        view.wait_for(rf"(?s)^acceptor +(?!{acceptor}\b)\d+.*acceptor {acceptor} died of signal 9")
        view.wait_for(r"^2 ended ")
        view.wait_for(r"^[1-9]\d* connections a second")
    with on_screen("04") as view:
        view.press("a")
        view.wait_for("^worker 4 ")
        tap.expect("\n  k " in view.page() and "\n  a " not in view.page(), view.page())


def test_what_waits_in_a_queue_is_beside_the_backlog():
    with on_screen("07") as view:
        view.wait_for(r"backlog: 0 of \d+, queue: \d$")
        view.press("ssss")
        view.wait_for(r"(?s)^0 connections a second.*backlog: 0 of \d+, queue: [1-9]\n"
                      r".*(1 silent.*){4}")
        view.press("s" * 30)
        view.wait_for(r"backlog: [1-9]\d* of \d+, queue: 1[5-9]$")
        view.press("l")
        view.wait_for(r"and 0 silent\n[1-9]\d* connections a second")


def test_the_load_grows_and_shrinks():
    with on_screen("01") as view:
        view.wait_for("load: 4 clients")
        view.press("+")
        view.wait_for("load: 5 clients")
        view.press("-----")
        view.wait_for("(?s)load: 0 clients.*\n0 connections a second")
        view.press("-s")
        view.wait_for("(?s)load: 0 clients, and 1 silent.*^child 1 .* 1 silent")


def test_the_terminal_is_given_back_as_it_was():
    for key in "q\3":
        with on_screen("04") as view:
            view.wait_for("^worker 1")
            view.press(key)
            while b"\033[?1049l" not in view.all:
                tap.expect(view.read(), "ended without it")
            tap.expect(view.all.rindex(b"\033[?25h") > view.all.rindex(b"\033[?25l"), "the cursor is hidden")
            tap.equal(termios.tcgetattr(view.terminal), view.before)
            tap.equal(view.end(), 0)
            tap.expect_in("worker 1", view.all.rpartition(b"\033[?1049l")[2].decode())


def test_a_small_terminal_is_not_written_beyond():
    with on_screen("04", lines=12, columns=60) as view:
        view.press("ssss")
        view.wait_for("^and [2-9] more")
        lines = view.page().split("\n")
        tap.expect(len(lines) <= 12 and max(map(len, lines)) <= 60, view.page())


def test_the_end_of_the_server_is_the_end():
    with on_screen("04") as view:
        master = view.wait_for(r"^master +(\d+)")[1]
        os.kill(int(master), signal.SIGKILL)
        tap.equal(view.end(), 1)
        tap.expect_in("ended with status -9", view.all.decode())


def test_what_is_no_time_is_one_clear_line():
    result = subprocess.run([LIVE, "04", "x"], capture_output=True, text=True, check=False)
    tap.equal((result.returncode, result.stderr), (1, 'live.py: "x" is no number of seconds\n'))


def test_who_is_no_server_is_one_clear_line():
    result = subprocess.run([LIVE, "02"], capture_output=True, text=True, check=False)
    tap.equal((result.returncode, result.stdout), (1, ""))
    tap.equal(result.stderr, f"live.py: no server is called \"02\"; say one of: {' '.join(registry.servers())}\n")


tap.run(vars())
