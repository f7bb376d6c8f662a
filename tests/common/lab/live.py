#!/usr/bin/env python3
"""Test of common/lab/live.py: every server without a terminal, and one on a terminal, key by key."""
import contextlib
import fcntl
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import tap  # noqa: E402

sys.path.insert(0, str(tap.ROOT / "common/report"))
import registry  # noqa: E402

LIVE = tap.ROOT / "common/lab/live.py"


class Screen:
    """live.py on a terminal of so many lines and columns, and what is to be read there."""

    def __init__(self, name, lines=24, columns=80):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
            os.execv(LIVE, [str(LIVE), name])
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
    screen = Screen(name, **size)
    try:
        yield screen
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(screen.pid, signal.SIGTERM)
        with contextlib.suppress(ChildProcessError, OSError):
            screen.end()
        tap.no_child_left()


def until_it_has_served(name):
    """All that live.py writes without a terminal until the server has served somebody, and it is ended.

    Where workers accept no log tells of that.
    """
    served = "" if "accept" in registry.servers()[name].can else "[1-9]"
    out = ""
    with subprocess.Popen([LIVE, name, "1000"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:
        while not re.search(rf"second, {served}[\d,]* so far.*\n\n\n", out, re.S) and (line := process.stdout.readline()):
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
        tap.expect(re.search(r"^master +\d+ +\w+", out, re.M), out)


def test_it_ends_after_the_time_that_it_is_given():
    result = subprocess.run([LIVE, "04", "0.1"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    tap.equal((result.returncode, result.stderr), (0, ""))


def test_a_worker_that_is_killed_has_a_successor():
    with on_screen("04") as screen:
        first = screen.wait_for(r"^worker 1 +(\d+)")[1]
        screen.press("k")
        screen.wait_for(rf"worker {first} died of signal 9")
        screen.wait_for(rf"(?s)^worker 1 +(?!{first}\b)\d+.*^1 ended ")


def test_one_that_is_stopped_says_so_until_it_goes_on():
    with on_screen("04") as screen:
        pid = screen.wait_for(r"^worker 1 +(\d+)")[1]
        screen.press("z")
        screen.wait_for(rf"{pid}  stopped")
        screen.press("z")
        screen.wait_for(rf"{pid}  (waits|runs)")


def test_silent_clients_hold_all_workers_and_the_others_wait():
    with on_screen("05") as screen:
        screen.wait_for(r"^worker 4 ")
        screen.press("ssss")
        screen.wait_for(r"(?s)load: 4 clients, and 4 that are silent\n0 connections a second.*backlog: [1-9]\d* of "
                        r".*(1 silent.*){4}")
        screen.press("l")
        screen.wait_for(r"and 0 that are silent\n[1-9]\d* connections a second")


def test_the_load_grows_and_shrinks():
    with on_screen("01") as screen:
        screen.wait_for("load: 4 clients")
        screen.press("+")
        screen.wait_for("load: 5 clients")
        screen.press("-----")
        screen.wait_for("(?s)load: 0 clients.*\n0 connections a second")
        screen.press("-s")
        screen.wait_for("(?s)load: 0 clients, and 1 that.*^child 1 .* 1 silent")


def test_the_terminal_is_given_back_as_it_was():
    for key in "q\3":
        with on_screen("04") as screen:
            screen.wait_for("^worker 1")
            screen.press(key)
            while b"\033[?1049l" not in screen.all:
                tap.expect(screen.read(), "ended without it")
            tap.expect(screen.all.rindex(b"\033[?25h") > screen.all.rindex(b"\033[?25l"), "the cursor is hidden")
            tap.equal(termios.tcgetattr(screen.terminal), screen.before)
            tap.equal(screen.end(), 0)
            tap.expect_in("worker 1", screen.all.rpartition(b"\033[?1049l")[2].decode())


def test_a_small_terminal_is_not_written_beyond():
    with on_screen("04", lines=12, columns=60) as screen:
        screen.press("ssss")
        screen.wait_for("^and [2-9] more")
        lines = screen.page().split("\n")
        tap.expect(len(lines) <= 12 and max(map(len, lines)) <= 60, screen.page())


def test_the_end_of_the_server_is_the_end():
    with on_screen("04") as screen:
        master = screen.wait_for(r"^master +(\d+)")[1]
        os.kill(int(master), signal.SIGKILL)
        tap.equal(screen.end(), 1)
        tap.expect_in("ended with status -9", screen.all.decode())


def test_what_is_no_time_is_one_clear_line():
    result = subprocess.run([LIVE, "04", "x"], capture_output=True, text=True, check=False)
    tap.equal((result.returncode, result.stderr), (1, 'live.py: "x" is no number of seconds\n'))


def test_who_is_no_server_is_one_clear_line():
    result = subprocess.run([LIVE, "02"], capture_output=True, text=True, check=False)
    tap.equal((result.returncode, result.stdout), (1, ""))
    tap.equal(result.stderr, f"live.py: no server is called \"02\"; say one of: {' '.join(registry.servers())}\n")


tap.run(vars())
