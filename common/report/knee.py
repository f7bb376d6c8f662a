#!/usr/bin/env python3
"""Raises the rate of an open loop step by step until a server falls behind, and draws latency against the rate.

The knee is the highest rate with which a server kept up. It has fallen behind with a rate when, after a second of
it, more than 5 % of the connections that were due in this second had not been answered. That many can only be
left when they had to queue: one twentieth of a second's connections is a queue of 50 ms. Since the machine may
have been busy with something else, a rate counts as too much when that happens twice.

The steps of the servers are taken in turn. Each step is 40 % up from the one before; from the first that was too
much, it is halved three times towards the last that was not.
"""
import math
import sys

import chapters
import gnuplot
import paths
import program
import registry
import results
import serving
import stats
import terminal
import textplot
import turns

SERVERS = chapters.compared()
ROUNDS = turns.few(3)
FIRST, LAST = 2000, 10**6 / 1.5  # connections/s; load goes no higher
FINE = 8  # so many fine steps are a coarse one
FACTOR = 1.4 ** (1 / FINE)
KEEPS_UP = 0.95
BUSY = 0.9  # of a CPU: from there on, load is what cannot do more
CURVES = ("p50_us", "p99_us")


def rate_of(step):
    """The rates are the same in each round, so that they can be compared: 2000 connections/s are step 0."""
    return round(FIRST * FACTOR ** step)


def search():
    """Looks for the knee: yields steps to try, is sent whether the server kept up, and gives the best that it did.

    Gives None when it keeps up with none, however low.
    """
    good, step = None, 0
    while rate_of(step) < LAST and (yield step):
        good, step = step, step + FINE
    bad = step
    while good is None:
        step -= FINE
        if rate_of(step) < 1:
            return None
        if (yield step):
            good = step
        else:
            bad = step
    while bad - good > 1:
        middle = (good + bad) // 2
        if (yield middle):
            good = middle
        else:
            bad = middle
    return good


def keeps_up(row):
    return row["rate"] >= KEEPS_UP * row["due"] and row["ok"] == row["connections"]


def busy(row):
    """How much of a CPU load itself has used."""
    return row["load_us"] * row["connections"] / row["seconds"] / 1e6


def try_rate(server, rate, keep):
    """True when the server keeps up; else it gets a second chance. Passes on what was measured."""
    for _ in range(2):
        with serving.running(registry.command(server)) as (process, port):
            row = serving.load(process, port, "-r", rate, "-d", 1, "-n", 10**8)
        keep(row)
        if keeps_up(row):
            return True
    return False


def measure():
    """Gives all rows, and the knees of each server by round."""
    rows, knees = [], {server: [] for server in SERVERS}
    progress = turns.Progress(ROUNDS * len(SERVERS) * 12)  # about
    for number in range(1, ROUNDS + 1):
        searches = {server: search() for server in SERVERS}
        steps = {server: next(search_) for server, search_ in searches.items()}
        while steps:
            for server, step in list(steps.items()):
                progress.step(f"round {number} of {ROUNDS}: chapter {server}, {rate_of(step)} connections/s")
                kept_up = try_rate(server, rate_of(step),
                                   lambda row, s=server, n=number: rows.append(row | {"round": n, "server": s}))
                try:
                    steps[server] = searches[server].send(kept_up)
                except StopIteration as found:
                    if found.value is None:
                        raise program.Failure(f"the server of chapter {server} keeps up with no rate at all") from None
                    knees[server].append(rate_of(found.value))
                    del steps[server]
        progress.steps = max(progress.done * ROUNDS // number, progress.done)
    progress.end()
    return rows, knees


def at(rows, server, rate):
    """What a server did at a rate, a row for each round that has tried it; of two tries the better."""
    tries = {}
    for row in rows:
        if row["server"] == server and row["asked"] == rate:
            tries.setdefault(row["round"], []).append(row)
    return [min(of_round, key=lambda row: row["p50_us"]) for of_round in tries.values()]


def common_rate(rows, knees):
    """The highest coarse step below all knees, and so measured for each server in each round."""
    lowest = min(min(of_server) for of_server in knees.values())
    steps = range(0, math.ceil(math.log(max(lowest, FIRST) / FIRST) / math.log(FACTOR)) + 1, FINE)
    rates = [rate for rate in map(rate_of, steps) if rate <= lowest]
    return next((rate for rate in reversed(rates) if all(at(rows, server, rate) for server in knees)), None)


def table(rows, knees, rate):
    """A row of text for each server; and how busy load was at its knees."""
    for server, of_server in knees.items():
        used = stats.median([busy(row) for knee in of_server for row in at(rows, server, knee)])
        latency = [f"{stats.median([row[curve] for row in at(rows, server, rate)]):.0f}" if rate else "-" for curve in CURVES]
        yield [registry.label(server), stats.spread(of_server),
               stats.ratio_text(stats.ratios(of_server, knees[SERVERS[0]])) if server != SERVERS[0] else "",
               *latency, f"{100 * used:.0f} %"], used


def curve(rows, server):
    """Rate, p50 and p99 of one server: medians of the rounds, at the rates that most of them have tried."""
    rounds = len({row["round"] for row in rows})
    for rate in sorted({row["asked"] for row in rows if row["server"] == server}):
        if 2 * len(at(rows, server, rate)) > rounds:
            yield [f"{rate:.0f}", *(f"{stats.median([row[name] for row in at(rows, server, rate)]):.1f}" for name in CURVES)]


def draw(rows, knees):
    curves = {server: list(curve(rows, server)) for server in SERVERS}
    for server, lines in curves.items():  # each has rates of its own, and so a file of its own
        results.write_table(results.scratch() / f"knee-{server}.tsv", ["rate", *CURVES], lines)
    rates, p50s, p99s = zip(*(map(float, line) for lines in curves.values() for line in lines))
    gnuplot.draw("knee.gp", results.scratch() / "knee", paths.RESULTS / "knee",
                 servers=" ".join(SERVERS),
                 titles="|".join(registry.label(server) for server in SERVERS),
                 knees=" ".join(f"{stats.median(knees[server]):.0f}" for server in SERVERS),
                 highest=max(rates), low=min(p50s), high=max(p99s))
    scale = [rate for rate in textplot.scale(0, max(rates), log=False) if rate <= max(rates)]
    return textplot.curves(
        "Latency p50 in ms, log scale, by the rate",
        {registry.label(server): [(float(rate), float(p50) / 1000) for rate, p50, _ in lines]
         for server, lines in curves.items()},
        [(rate, textplot.number(rate)) for rate in scale],
        "connections that come in a second, whether earlier ones are served or not", ylog=True)


def main():
    if len(sys.argv) > 1:
        sys.exit("usage: knee.py")
    results.begin()
    rows, knees = measure()
    columns = ["round", "server", *(key for key in rows[0] if key not in ("round", "server"))]
    results.write_table(paths.RESULTS / "knee.tsv", columns,
                        ([row[c] if c in ("round", "server") else f"{row[c]:.10g}" for c in columns] for row in rows))
    print(draw(rows, knees))
    rate = common_rate(rows, knees)
    lines, used = zip(*table(rows, knees, rate))
    notes = [f"Knee: the highest rate with which the server kept up. After a second of 4 % more, more than "
             f"{100 - 100 * KEEPS_UP:.0f} % of the connections that were due in it were unanswered, twice.",
             "Load shares the machine with the server; its share of a CPU is given at the knee.",
             *stats.mark_notes(lines)]
    limited = [registry.label(server) for server, share in zip(SERVERS, used) if share > BUSY]
    if limited:
        notes.append(f"Load itself was the limit for {', '.join(limited)}: the knee is further up.")
    at_rate = f" at {rate}/s, µs" if rate else ", µs"
    results.show_table("knee", f"Where each server falls behind: median (range) of {ROUNDS} rounds, 8 workers",
                       ["", "knee, connections/s", f"/ chapter {SERVERS[0].lstrip('0')}", f"p50{at_rate}", f"p99{at_rate}",
                        "CPU used by load"], lines, notes)
    ratios = {f"{server} / {SERVERS[0]}": stats.ratios(knees[server], knees[SERVERS[0]]) for server in SERVERS[1:]}
    warning = stats.noise_warning(ratios, "make knee")
    if warning:
        print("\n" + terminal.wrapped(warning))
    print(f"\nall steps:  {terminal.shown(paths.RESULTS)}/knee.tsv")
    print(f"picture:    {terminal.shown(paths.RESULTS)}/knee.svg (and .png)")


if __name__ == "__main__":
    program.main(main)
