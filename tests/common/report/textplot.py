#!/usr/bin/env python3
"""Test of common/report/textplot.py: plots in characters."""
import os
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import tap  # noqa: E402

sys.path.insert(0, str(tap.ROOT / "common/report"))
import textplot  # noqa: E402

COLUMNS = 80


def plot(series, tics, **how):
    lines = textplot.curves("A title", series, tics, "what is below", **how).splitlines()
    assert max(map(len, lines)) <= COLUMNS, "\n".join(lines)
    return lines


def written(values):
    return " ".join(map(textplot.number, values))


def test_numbers_are_written_out():
    tap.equal(written((10000.0, 1e6, 0.1, 50, 2.5)), "10,000 1,000,000 0.1 50 2.5")


def test_tics_are_round_and_hold_what_is_drawn():
    tap.equal(written(textplot.scale(0, 41000, log=False)), "0 10,000 20,000 30,000 40,000 50,000")
    tap.equal(written(textplot.scale(58, 66, log=True)), "50 100")
    tap.equal(written(textplot.scale(100, 1000, log=True)), "100 200 500 1,000")
    tap.equal(written(textplot.scale(0.04, 250, log=True)), "0.01 0.1 1 10 100 1,000")
    for low, high in ((1, 10**6), (0.5, 0.6), (7, 7)):
        values = textplot.scale(low, high, log=True)
        assert values[0] <= low and values[-1] >= high, values
        assert len(values) <= textplot.ROWS // 2, values


def test_each_curve_has_its_letter_and_the_legend_says_whose_that_is():
    lines = plot({"fork": [(1, 100), (10, 1000)], "pool": [(1, 10), (10, 100)]},
                 [(1, "1"), (10, "10")], xlog=True, ylog=True)
    tap.equal(lines[:2], ["A title", "  A fork   B pool   capitals: measured"])
    field = [line[9:] for line in lines[2:-3]]
    tap.equal([field[0][-1], field[-1][0]], ["A", "B"])
    tap.equal(sum(line.count("A") for line in field), 2)
    assert sum(line.count("a") for line in field) > 20, lines
    tap.equal([line.split()[0] for line in lines[2:-3] if "+" in line],
              "1,000 500 200 100 50 20 10".split())
    tap.equal(lines[-2].split(), ["1", "10"])
    tap.equal(lines[-1].strip(), "what is below")


def test_where_curves_meet_their_letters_take_turns():
    tics, meet = [(0, "0"), (10, "10")], "letters in turn: curves that meet"
    same = {"fork": [(0, 5), (10, 5)], "pool": [(0, 5), (10, 5)]}
    lines = plot(same, tics)
    assert meet in lines[1], lines
    row, = [line.partition("|")[2] or line.partition("+")[2] for line in lines[2:-3] if "b" in line]
    assert len(row) > 50 and re.fullmatch("B?(AB)+A?", row.upper()), row
    assert meet not in plot(same | {"pool": [(0, 1), (10, 1)]}, tics)[1]


def test_a_single_point_is_a_plot():
    lines = plot({"fork": [(1, 5)]}, [(1, "1")], xlog=True, ylog=True)
    tap.equal(sum(line.count("A") for line in lines[2:]), 1)


def test_bars_begin_at_zero_and_end_with_their_value():
    groups = {"1 client": {"fork": 200.0, "pool": 50.0}, "8 clients": {"fork": 100.0, "pool": 0.2}}
    lines = textplot.bars("A title", groups).splitlines()
    tap.equal(lines[0], "A title")
    bars = [(line.partition("#")[0].split(), line.count("#"), line.split()[-1])
            for line in lines if "#" in line]
    most = bars[0][1]
    tap.equal(bars, [(["1", "client", "fork"], most, "200"), (["pool"], round(most / 4), "50"),
                     (["8", "clients", "fork"], round(most / 2), "100"), (["pool"], 1, "0")])
    assert max(map(len, lines)) <= COLUMNS and most > COLUMNS / 2, lines


def test_a_strip_shows_what_was_done_when():
    spans = [(".", 0, 10), ("A", 2, 4), ("B", 4, 5)]
    tap.equal(textplot.strip(spans, 10, 10, "."), "..AAB.....")
    tap.equal(textplot.strip([("A", 9, 10)], 10, 5, "."), "    A")


def test_what_is_short_is_seen_and_has_its_share():
    # Of each step, A takes nine tenths and B one.
    spans = [span for n in range(100) for span in (("A", n, n + 0.9), ("B", n + 0.9, n + 1))]
    row = textplot.strip(spans, 100, 100, ".")
    tap.equal((row.count("A"), row.count("B")), (90, 10))


os.environ["COLUMNS"] = str(COLUMNS)
tap.run(vars())
