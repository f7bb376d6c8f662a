#!/usr/bin/env python3
"""Test of common/report/cost.py: what is counted in a trace, and that getrusage misses no process."""
import contextlib
import io
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest.mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import tap  # noqa: E402

sys.path.insert(0, str(tap.ROOT / "common/report"))
import cost  # noqa: E402

TRACE = """\
10 execve("./server", [""...], 0x0 /* 9 vars */) = 0
10 clone(child_stack=NULL) = 11
11 accept4(3, NULL, NULL, SOCK_CLOEXEC <unfinished ...>
10 poll([{fd=4}], 1, -1 <unfinished ...>
11 <... accept4 resumed>) = 5
11 recvfrom(5, ""..., 65536, 0, NULL, NULL) = 64
11 --- SIGCHLD {si_signo=SIGCHLD} ---
11 +++ exited with 0 +++
""".splitlines()


def test_calls_are_counted_by_process_and_once():
    tap.equal(dict(cost.parse_trace(TRACE)), {("master", "execve"): 1, ("master", "clone"): 1, ("workers", "accept4"): 1,
                                              ("master", "poll"): 1, ("workers", "recvfrom"): 1})


def connections(count, more=()):
    """The trace of a server that starts with two calls, and takes one process for each connection."""
    lines = ["1 execve(", "1 read("]
    for number in range(count):
        lines += ["1 select(", "1 accept4(", "1 clone(", f"{2 + number} send(", f"{2 + number} send(", f"{2 + number} exit_group("]
    return [*lines, *more]


def test_what_is_done_once_does_not_count():
    calls = cost.calls_per_connection(connections(2), connections(12), 10)
    tap.equal(calls, {("master", "accept4"): 1, ("master", "clone"): 1, ("master", "select"): 1,
                      ("workers", "send"): 2, ("workers", "exit_group"): 1})


def test_calls_are_listed_in_the_order_of_a_connection():
    calls = list(cost.calls_per_connection(connections(2), connections(13, ["1 kill("]), 11))
    tap.equal([call for whose, call in calls if whose == "master"], ["accept4", "clone", "select", "kill"])
    tap.equal([call for whose, call in calls if whose == "workers"], ["send", "exit_group"])


def test_numbers_are_short():
    tap.equal([cost.number_text(number) for number in (1, 1.04, 1.06, 0.5, 46.0)], ["1", "1", "1.1", "0.5", "46"])


def used_by(command):
    before = cost.used_by_children()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    after = cost.used_by_children()
    return {key: after[key] - before[key] for key in after}


def test_grandchildren_that_have_ended_are_counted():
    # Each touches memory, and that is seen as page faults.
    program = ("import os, sys\n"
               "for _ in range(int(sys.argv[1])):\n"
               "    child = os.fork()\n"
               "    if child == 0:\n"
               "        memory = bytearray(4 << 20)\n"
               "        os._exit(0)\n"
               "    os.waitpid(child, 0)\n")
    none, ten = (used_by([sys.executable, "-c", program, number]) for number in ("0", "10"))
    assert ten["minor"] - none["minor"] >= 10, (none, ten)


def test_pages_that_are_shared_count_once():
    read, write = os.pipe()
    memory = bytearray(os.urandom(64 << 20))
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            os.close(write)
            os.read(read, 1)
            os._exit(0)
        children.append(child)
    try:
        together = cost.proportional_kib([os.getpid(), *children])
        assert len(memory) >> 10 <= together < 2 * (len(memory) >> 10), together
    finally:
        os.close(write)
        os.close(read)
        for child in children:
            os.waitpid(child, 0)


def test_a_missing_strace_is_told():
    path = os.environ["PATH"]
    os.environ["PATH"] = tempfile.mkdtemp()
    try:
        tap.equal(cost.no_strace(), "strace is not installed")
        strace = pathlib.Path(os.environ["PATH"], "strace")
        strace.write_text("#!/bin/sh\necho strace: ptrace: Operation not permitted >&2\nexit 1\n")
        strace.chmod(0o755)
        tap.equal(cost.no_strace(), "strace may not trace here: strace: ptrace: Operation not permitted")
    finally:
        shutil.rmtree(os.environ["PATH"])
        os.environ["PATH"] = path


def test_who_has_not_begun_in_time_is_left_out_and_that_is_said():
    clock, out = [100.0], io.StringIO()

    def measure(name):
        clock[0] += 10
        return name.upper()

    with unittest.mock.patch("time.monotonic", lambda: clock[0]), contextlib.redirect_stdout(out):
        found = cost.one_by_one("memory", ["06", "socat", "apache", "xinetd"], measure, 120)
    tap.equal(found, {"06": "06", "socat": "SOCAT"})
    tap.equal(" ".join(out.getvalue().split()),
              "left out: memory of Apache prefork, xinetd: 8 minutes are over, since the machine "
              "is busy")


tap.run(vars())
