#!/usr/bin/env python3
"""Test of common/report/turns.py: what is compared is measured side by side."""
import contextlib
import io
import os
import pathlib
import sys
import unittest.mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import tap  # noqa: E402

sys.path.insert(0, str(tap.ROOT / "common/report"))
import turns  # noqa: E402


def test_runs_are_done_in_turn():
    order = []

    def run(name):
        order.append(name)
        return {name: len(order)}

    values = turns.in_turn(3, [("a", lambda: run("a")), ("b", lambda: run("b"))])
    tap.equal(order, ["a", "b"] * 3)
    tap.equal(values, {"a": [1, 3, 5], "b": [2, 4, 6]})


def rounds_within(seconds, took):
    """How many rounds are done when each takes so long; the clock is ours."""
    clock = [100.0]

    def run():
        clock[0] += took
        return {"a": 0}

    with unittest.mock.patch("time.monotonic", lambda: clock[0]):
        return len(turns.in_turn(5, [("a", run)], seconds)["a"])


def test_with_a_limit_no_round_begins_that_would_end_behind_it():
    tap.equal([rounds_within(*each) for each in ((100, 20), (100, 20.1), (100, 49), (100, 51), (100, 1000), (None, 1000))],
              [5, 4, 2, 1, 1, 5])


def told(terminal, took, columns="80", thing="thing"):
    """What is said on stderr about four steps that take so many seconds each."""
    clock, said = [100.0], io.StringIO()
    said.isatty = lambda: terminal
    with unittest.mock.patch("time.monotonic", lambda: clock[0]), \
            unittest.mock.patch.dict(os.environ, {"COLUMNS": columns}), \
            contextlib.redirect_stderr(said):
        progress = turns.Progress(4)
        for number in range(1, 5):
            progress.step(f"{thing} {number}")
            clock[0] += took
        progress.end()
    return said.getvalue()


def test_without_a_terminal_a_line_now_and_then_says_how_far_it_is():
    tap.equal(told(False, 20), "step 3 of 4, about 40 s left: thing 3\n")
    tap.equal(told(False, 5), "")


def test_on_a_terminal_a_bar_does():
    steps = told(True, 20).split("\r\033[K")
    tap.equal(steps[3], "[" + "#" * 15 + "." * 15 + "]   40 s left  thing 3\r")
    tap.equal(steps[-1], "")


def test_the_bar_leaves_the_last_column_free_and_gets_shorter_first():
    for columns in (40, 55, 80, 120):
        for thing in ("thing", "round 3 of 5: chapter 04-onefile, 128 clients: much to say"):
            steps = told(True, 20, str(columns), thing).split("\r\033[K")
            assert max(map(len, steps)) - len("\r") < columns, steps
    steps = told(True, 20, "45").split("\r\033[K")
    tap.equal(steps[3], "[" + "#" * 10 + "." * 11 + "]   40 s left  thing 3\r")


def test_in_haste_there_is_one_round():
    with unittest.mock.patch("turns.HASTE", True):
        tap.equal(turns.in_turn(3, [("a", lambda: {"a": 1})]), {"a": [1]})


tap.run(vars())
