#!/usr/bin/env python3
"""time-chapter.py NN: the measurement that belongs to chapter NN, and its plot."""
import os
import re
import subprocess
import sys

import gnuplot
import paths
import program
import registry
import results
import stats
import turns
from compare import compare


def run(number, program, *arguments, cpus=None):
    """Runs a program of a chapter, on these CPUs only, and gives what it prints."""
    command = [paths.BUILD / registry.chapter(number) / program, *arguments]
    pin = (lambda: os.sched_setaffinity(0, cpus)) if cpus else None
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, preexec_fn=pin)
    if result.returncode != 0:
        raise program.Failure(f"{program} ended with status {result.returncode}")
    return result.stdout


def placements():
    """Where two processes may run: on one CPU they take turns; of several the scheduler chooses."""
    cpus = sorted(os.sched_getaffinity(0))
    yield "one CPU", {cpus[0]}
    if len(cpus) > 1:
        yield f"any of {len(cpus)} CPUs", set(cpus)


def show(name, script, title, columns, rows, **settings):
    results.write_table(paths.RESULTS / f"{name}.tsv", columns, rows)
    print(gnuplot.draw(script, paths.RESULTS / f"{name}.tsv", paths.RESULTS / name, title=title, **settings))


def bars(name, title, values, places):
    """Bars for each thing that was measured, at each place; and a table of median and range."""
    things = list(dict.fromkeys(thing for thing, _ in values))
    show(name, "bars.gp", title, ["what", *(f"{place} {part}" for place in places for part in ("median", "low", "high"))],
         ([f'"{thing}"', *(f"{f(values[thing, place]):.2f}" for place in places for f in (stats.median, min, max))]
          for thing in things), places="|".join(places))
    results.show_table(name, f"{title}: µs, median (range)", ["", *places],
                       ([thing, *(stats.spread(values[thing, place], "{:.1f}") for place in places)] for thing in things))


def time_01():
    def forkcost():
        lines = [line.split("\t") for line in run("01", "forkcost").splitlines()[1:]]
        return {(int(mib), pages): float(us) for mib, pages, us in lines}

    values = turns.in_turn(3, [("fork at 1 MiB to 1 GiB", forkcost)])
    sizes = sorted({mib for mib, _ in values})
    show("chapter-01", "forkcost.gp", "", ["mib", "small", "small_low", "small_high", "huge", "huge_low", "huge_high"],
         ([mib, *(f"{f(values[mib, pages]):.1f}" for pages in ("4 KiB", "2 MiB") for f in (stats.median, min, max))]
          for mib in sizes))
    results.show_table("chapter-01", "fork, exit and wait: µs, median (range)", ["memory in use", "4 KiB pages", "2 MiB pages"],
                       ([f"{mib} MiB", *(stats.spread(values[mib, pages]) for pages in ("4 KiB", "2 MiB"))] for mib in sizes))


def time_02():
    def pingpong(kind, place, cpus):
        out = run("02", "pingpong", "-t", kind, "-n", "10000", cpus=cpus)
        return {(kind, place): float(re.search(r", ([\d.]+) µs each", out)[1])}

    places = dict(placements())
    values = turns.in_turn(5, [(f"{kind}, {place}", lambda k=kind, p=place: pingpong(k, p, places[p]))
                         for kind in ("pipe", "stream", "seqpacket", "dgram") for place in places])
    bars("chapter-02", "A byte there and back", values, list(places))


def time_03():
    def passcost(place, cpus):
        lines = [line.split("\t") for line in run("03", "passcost", cpus=cpus).splitlines()[1:]]
        return {(way, place): float(us) for way, us in lines}

    places = dict(placements())
    values = turns.in_turn(5, [(place, lambda p=place: passcost(p, places[p])) for place in places])
    bars("chapter-03", "An open descriptor for another process", values, list(places))


def time_04():
    compare("chapter-04", ["01", "04"], [1, 8, 32], 3, 1)


def time_05():
    compare("chapter-05", ["04", "05", "05-python"], [1, 32], 3, 1)


def main():
    number = sys.argv[1] if len(sys.argv) == 2 else ""
    measurements = {"01": time_01, "02": time_02, "03": time_03, "04": time_04, "05": time_05}
    if number not in measurements:
        sys.exit(f"usage: time-chapter.py {'|'.join(measurements)}")
    measurements[number]()
    if (paths.RESULTS / f"chapter-{number}.svg").exists():  # compare has named its own
        print(f"\npicture:   {paths.RESULTS}/chapter-{number}.svg (and .png)")


if __name__ == "__main__":
    program.main(main)
