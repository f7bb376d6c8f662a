#!/usr/bin/env python3
"""Test of common/report/program.py: whatever ends a measurement, it leaves nothing behind."""
import contextlib
import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import tap  # noqa: E402

sys.path.insert(0, str(tap.ROOT / "common/report"))
import paths  # noqa: E402
import program  # noqa: E402

FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="program-test-"))

SCRIPT = """
import pathlib, signal, subprocess, sys, threading, time
sys.path.insert(0, sys.argv[1])
import gnuplot, paths, program, results, serving

def begun():
    print("begun", flush=True)

def main():
    results.write_table(paths.RESULTS / "result.tsv", ["a"], [[1]])
    def rows():
        yield ["half"]
        WHAT
    results.write_table(paths.RESULTS / "result.tsv", ["a"], rows())

program.main(main)
"""

# What a measurement may be at when a signal comes. Each says "begun" when it has got there, and would not end.
SERVER = 'serving.running(["sh", "-c", "echo listening on 127.0.0.1:1,; sleep 1000 & wait"])'
AT_A_SERVER_WITH_CHILDREN = f"with {SERVER}: begun(); subprocess.run(['sleep', '1000'])"
AT_A_CHILD_THAT_LEFT_ITS_PARENT = "subprocess.run(['sh', '-c', 'setsid sleep 1000 &']); begun(); subprocess.run(['sleep', '1000'])"
AT_A_SERVER_THAT_IGNORES_SIGTERM = "subprocess.run(['sh', '-c', 'trap \"\" TERM; echo begun; while :; do sleep 1; done'])"
# As when the signal comes just before a system call: it is noted, by another thread here, and interrupts nothing.
AT_A_CALL_THAT_IT_DOES_NOT_INTERRUPT = (
    "threading.Thread(target=time.sleep, args=(1000,), daemon=True).start(); "
    "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]); "
    "subprocess.run(['sh', '-c', 'sleep 0.2; echo begun; exec sleep 1000'])")
AT_A_LOCK_THAT_NOBODY_GIVES_BACK = f"with {SERVER} as (process, _): process._waitpid_lock.acquire(); begun(); time.sleep(1000)"
AT_GNUPLOT = "gnuplot.draw('x.gp', 'data', paths.RESULTS / 'picture')"


def folder_with_gnuplot():
    """One that never ends."""
    folder = FOLDER / "bin"
    folder.mkdir(exist_ok=True)
    (folder / "gnuplot").write_text("#!/bin/sh\nexec sleep 1000\n")
    (folder / "gnuplot").chmod(0o755)
    return folder


def stopped(what, number):
    """Runs a measurement, stops it at a moment, and looks at what it leaves: no process and no half result."""
    ctypes.CDLL(None).prctl(program.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    build = pathlib.Path(tempfile.mkdtemp(dir=FOLDER))
    shutil.copy(paths.BUILD / "servers.tsv", build)
    script = build / "measure.py"
    script.write_text(SCRIPT.replace("WHAT", what))
    environment = os.environ | {"BUILD": str(build), "MINE": str(build),
                                "PATH": f"{folder_with_gnuplot()}:{os.environ['PATH']}"}
    with subprocess.Popen([sys.executable, script, tap.ROOT / "common/report"], env=environment,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            if what == AT_GNUPLOT:  # whose words are caught
                wait_until(lambda: "sleep" in names_of_children(process.pid))
            else:
                tap.equal(process.stdout.readline(), "begun\n")
            process.send_signal(number)
            _, errors = process.communicate(timeout=tap.PATIENCE)
        finally:
            process.kill()
    tap.equal(process.returncode, 128 + number)
    tap.equal(errors, "\nmeasure.py: stopped\n")
    # Whoever it left alone would be our child now.
    tap.raises(ChildProcessError, os.waitpid, -1, os.WNOHANG)
    tap.equal(sorted(path.name for path in build.iterdir()), ["measure.py", "results", "servers.tsv"])
    tap.equal([path.name for path in (build / "results").iterdir()], ["result.tsv"])
    tap.equal((build / "results/result.tsv").read_text().splitlines()[-1], "1")


def names_of_children(pid):
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it has just gone
            front, _, behind = pathlib.Path("/proc", name, "stat").read_text().rpartition(")")
            if int(behind.split()[1]) == pid:
                found.append(front.partition("(")[2])
    return found


def wait_until(condition):
    end = time.monotonic() + tap.PATIENCE
    while not condition():
        assert time.monotonic() < end, "it does not become true"
        time.sleep(0.002)


def test_each_signal_ends_a_server_and_its_children():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        stopped(AT_A_SERVER_WITH_CHILDREN, number)


def test_a_child_that_left_its_parent_is_ended():
    stopped(AT_A_CHILD_THAT_LEFT_ITS_PARENT, signal.SIGTERM)


def test_a_server_that_ignores_sigterm_is_ended():
    stopped(AT_A_SERVER_THAT_IGNORES_SIGTERM, signal.SIGINT)


def test_a_signal_that_interrupts_no_call_is_not_lost():
    stopped(AT_A_CALL_THAT_IT_DOES_NOT_INTERRUPT, signal.SIGTERM)


def test_a_lock_of_popen_that_nobody_gives_back_holds_up_nothing():
    stopped(AT_A_LOCK_THAT_NOBODY_GIVES_BACK, signal.SIGTERM)


def test_half_a_picture_is_removed():
    stopped(AT_GNUPLOT, signal.SIGTERM)


def test_a_failure_is_one_line_and_status_1():
    build = tempfile.mkdtemp(dir=FOLDER)
    script = pathlib.Path(build) / "measure.py"
    script.write_text(SCRIPT.replace("WHAT", "raise program.Failure('no such thing')"))
    result = subprocess.run([sys.executable, script, tap.ROOT / "common/report"],
                            env=os.environ | {"BUILD": build, "MINE": build},
                            capture_output=True, text=True, check=False)
    tap.equal((result.returncode, result.stdout, result.stderr), (1, "", "measure.py: no such thing\n"))


try:
    tap.run(vars())
finally:
    shutil.rmtree(FOLDER, ignore_errors=True)
