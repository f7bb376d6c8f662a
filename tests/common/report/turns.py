#!/usr/bin/env python3
"""Test of common/report/turns.py: what is compared is measured side by side."""
import pathlib
import sys

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


tap.run(vars())
