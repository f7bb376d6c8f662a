#!/usr/bin/env python3
"""Test of common/report/bench.py: what its statistics say, and that it leaves nothing half done."""
import contextlib
import ctypes
import io
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
import bench  # noqa: E402

FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="bench-test-"))
bench.BUILD, bench.RESULTS = FOLDER, FOLDER / "results"
PATIENCE = int(os.environ.get("TEST_PATIENCE", "60"))


# ---- load ----


def loaded(status, ok=9, connections=9, unfinished=0, server_us="1.5"):
    """What bench makes of a load that prints such a row and ends with this status: the row, or "failure"."""
    table = f"connections\tok\tunfinished\tserver_us\n{connections}\t{ok}\t{unfinished}\t{server_us}\n"
    program = FOLDER / "load"
    program.write_text(f"#!/bin/sh\nprintf '{table}'\nexit {status}\n")
    program.chmod(0o755)
    bench.LOAD = program
    with subprocess.Popen(["true"]) as process:
        try:
            return bench.load(process, 1)
        except bench.Failure:
            return "failure"


def test_what_load_measured_is_a_row():
    tap.equal(loaded(0), {"connections": 9.0, "ok": 9.0, "unfinished": 0.0, "server_us": 1.5})


def test_lost_connections_are_a_result():
    tap.equal(loaded(1, ok=7)["ok"], 7.0)


def test_a_load_that_could_not_go_on_is_a_failure():
    tap.equal(loaded(1, unfinished=1), "failure")
    tap.equal(loaded(1, ok=7, unfinished=1), "failure")
    tap.equal(loaded(1, ok=7, server_us="-"), "failure")
    tap.equal(loaded(1), "failure")


# ---- statistics ----


def test_a_spread_is_median_and_range():
    tap.equal(bench.spread([3.0]), "3 (3-3)")
    tap.equal(bench.spread([10, 1, 4]), "4 (1-10)")
    tap.equal(bench.spread([1, 2, 3, 10], "{:.1f}"), "2.5 (1.0-10.0)")


def test_percentiles_are_those_of_load():
    ordered = list(range(1, 101))
    tap.equal([bench.percentile(ordered, percent) for percent in (0, 1, 50, 50.5, 99, 99.9, 100)], [1, 1, 50, 51, 99, 100, 100])
    tap.equal(bench.percentile([7], 50), 7)


def test_ratios_are_taken_round_by_round():
    tap.equal(bench.ratios([2, 9], [1, 3]), [2, 3])


def test_a_difference_is_claimed_when_all_rounds_agree():
    tap.equal(bench.verdict([0.50, 0.55, 0.52]), "")
    tap.equal(bench.verdict([1.01, 1.02, 1.01]), "")


def test_no_difference_is_claimed_when_the_rounds_lie_on_both_sides_of_1():
    tap.equal(bench.verdict([0.99, 1.01]), "same")
    tap.equal(bench.verdict([1.0, 1.2]), "same")
    tap.equal(bench.verdict([0.8, 1.0]), "same")


def test_of_rounds_that_are_far_apart_only_the_direction_is_told():
    tap.equal(bench.verdict([0.50, 0.70]), "")
    tap.equal(bench.verdict([0.50, 0.71]), "rough")
    tap.equal(bench.verdict([10, 15]), "rough")


def test_rounds_that_are_far_apart_and_do_not_agree_tell_nothing():
    tap.equal(bench.verdict([0.9, 1.2]), "same")
    tap.equal(bench.verdict([0.8, 1.2]), "noisy")
    tap.equal(bench.verdict([1.0, 1.5]), "noisy")


def test_the_marks_are_explained_where_they_occur():
    rows = [["a", bench.ratio_text([0.9, 1.1])], ["b", bench.ratio_text([1, 2])], ["c", bench.ratio_text([3, 3])],
            ["d", bench.ratio_text([2, 3])]]
    tap.equal([row[1][0] for row in rows], ["≈", "?", "3", "~"])
    tap.equal([note[0] for note in bench.mark_notes(rows)], ["~", "≈", "?"])
    tap.equal([note[0] for note in bench.mark_notes(rows[:2])], ["≈", "?"])
    tap.equal(bench.mark_notes(rows[2:3]), [])


def test_large_ratios_have_fewer_decimals():
    tap.equal(bench.ratio_text([9.5, 9.994]), "9.75 (9.50-9.99)")
    tap.equal(bench.ratio_text([9.5, 12]), "10.8 (9.5-12.0)")


def test_the_warning_names_the_noisy_and_the_command():
    tap.equal(bench.noise_warning({"A / B": [1, 1.1]}, "make it"), "")
    warning = bench.noise_warning({"A / B": [2, 3], "C / B": [1, 2]}, "make it")
    assert "1 of 2 ratios" in warning and "C / B" in warning and "A / B" not in warning, warning
    assert warning.endswith("make it"), warning


def test_runs_are_done_in_turn():
    order = []

    def run(name):
        order.append(name)
        return {name: len(order)}

    values = bench.in_turn(3, [("a", lambda: run("a")), ("b", lambda: run("b"))])
    tap.equal(order, ["a", "b"] * 3)
    tap.equal(values, {"a": [1, 3, 5], "b": [2, 4, 6]})


# ---- results ----


def test_a_table_is_aligned_and_kept():
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        bench.show_table("thing", "A title", ["what", "number", "text"], [["1 one", 5, "a"], ["two", "≈ 1 (0-11)", "bcd"]], ["A note."])
    tap.equal(out.getvalue().splitlines(), [
        "",
        "A title",
        "  what       number  text",
        "  1 one           5  a",
        "  two    ≈ 1 (0-11)  bcd",
        "  A note.",
    ])
    lines = (bench.RESULTS / "thing.table.tsv").read_text().splitlines()
    tap.equal(lines[:2], ["# title: A title", "# note: A note."])
    tap.equal(lines[-3:], ["what\tnumber\ttext", "1 one\t5\ta", "two\t≈ 1 (0-11)\tbcd"])
    described = " ".join(line for line in lines if line.startswith("# "))
    for word in ("machine:", "allowed", "governor", "virtualisation", "kernel:", "load average", "date:", "command:"):
        assert word in described, word


def test_a_result_that_fails_leaves_the_old_one():
    path = bench.RESULTS / "old.tsv"
    bench.write_table(path, ["a"], [[1]])
    before = path.read_text()

    def rows():
        yield [2]
        raise ValueError

    tap.raises(ValueError, bench.write_table, path, ["a"], rows())
    tap.equal(path.read_text(), before)
    tap.equal(sorted(p.name for p in bench.RESULTS.iterdir() if p.name.startswith("old")), ["old.tsv"])


def put_gnuplot(script):
    """A gnuplot of our own, in front of the PATH."""
    folder = FOLDER / "bin"
    folder.mkdir(exist_ok=True)
    program = folder / "gnuplot"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


@contextlib.contextmanager
def environment(changes):
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def test_a_picture_that_fails_leaves_the_old_one():
    picture = bench.RESULTS / "picture"
    bench.RESULTS.mkdir(exist_ok=True)
    (bench.RESULTS / "picture.svg").write_text("old")
    # Writes half a picture where it is told to, and fails.
    script = "out=$(printf %s \"$2\" | sed \"s/.*out='//; s/'.*//\"); echo half >\"$out\"; echo no such font >&2; exit 1"
    with environment(put_gnuplot(script)):
        text = tap.raises(bench.Failure, lambda: bench.draw("x.gp", "data", picture))
    assert "no such font" in text, text
    tap.equal((bench.RESULTS / "picture.svg").read_text(), "old")


# ---- the end ----


SCRIPT = """
import pathlib, signal, subprocess, sys, threading, time
sys.path.insert(0, sys.argv[1])
import bench

def begun():
    print("begun", flush=True)

def main():
    bench.write_table(bench.RESULTS / "result.tsv", ["a"], [[1]])
    def rows():
        yield ["half"]
        WHAT
    bench.write_table(bench.RESULTS / "result.tsv", ["a"], rows())

bench.main(main)
"""

# What a measurement may be at when a signal comes. Each says "begun" when it has got there, and would not end.
SERVER = 'bench.running(["sh", "-c", "echo listening on 127.0.0.1:1,; sleep 1000 & wait"])'
AT_A_SERVER_WITH_CHILDREN = f"with {SERVER}: begun(); subprocess.run(['sleep', '1000'])"
AT_A_CHILD_THAT_LEFT_ITS_PARENT = "subprocess.run(['sh', '-c', 'setsid sleep 1000 &']); begun(); subprocess.run(['sleep', '1000'])"
AT_A_SERVER_THAT_IGNORES_SIGTERM = "subprocess.run(['sh', '-c', 'trap \"\" TERM; echo begun; while :; do sleep 1; done'])"
# As when the signal comes just before a system call: it is noted, by another thread here, and interrupts nothing.
AT_A_CALL_THAT_IT_DOES_NOT_INTERRUPT = (
    "threading.Thread(target=time.sleep, args=(1000,), daemon=True).start(); "
    "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]); "
    "subprocess.run(['sh', '-c', 'sleep 0.2; echo begun; exec sleep 1000'])")
AT_GNUPLOT = "bench.draw('x.gp', 'data', bench.RESULTS / 'picture')"


def stopped(what, number):
    """Runs a measurement, stops it at a moment, and looks at what it leaves: no process and no half result."""
    ctypes.CDLL(None).prctl(bench.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    build = pathlib.Path(tempfile.mkdtemp(dir=FOLDER))
    program = build / "measure.py"
    program.write_text(SCRIPT.replace("WHAT", what))
    with environment(put_gnuplot("exec sleep 1000") | {"BUILD": str(build)}), subprocess.Popen(
            [sys.executable, program, tap.ROOT / "common/report"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            if what == AT_GNUPLOT:  # whose words bench catches
                wait_until(lambda: "sleep" in names_of_children(process.pid))
            else:
                tap.equal(process.stdout.readline(), "begun\n")
            process.send_signal(number)
            _, errors = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    tap.equal(process.returncode, 128 + number)
    tap.equal(errors, "\nmeasure.py: stopped\n")
    # Whoever it left alone would be our child now.
    tap.raises(ChildProcessError, os.waitpid, -1, os.WNOHANG)
    tap.equal(sorted(path.name for path in build.iterdir()), ["measure.py", "results"])
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
    end = time.monotonic() + PATIENCE
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


def test_half_a_picture_is_removed():
    stopped(AT_GNUPLOT, signal.SIGTERM)


def test_a_failure_is_one_line_and_status_1():
    build = tempfile.mkdtemp(dir=FOLDER)
    program = pathlib.Path(build) / "measure.py"
    program.write_text(SCRIPT.replace("WHAT", "raise bench.Failure('no such thing')"))
    result = subprocess.run([sys.executable, program, tap.ROOT / "common/report"], env=os.environ | {"BUILD": build},
                            capture_output=True, text=True, check=False)
    tap.equal((result.returncode, result.stdout, result.stderr), (1, "", "measure.py: no such thing\n"))


try:
    tap.run(vars())
finally:
    shutil.rmtree(FOLDER, ignore_errors=True)
