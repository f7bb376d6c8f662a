#!/usr/bin/env python3
"""What a closed loop hides: one server, stopped for 200 ms, measured by both kinds of load at the same rate.

A closed loop is a number of clients, each of which waits for its reply before it begins again. So when the
server stands still, the clients stand still with it: a few connections are slow, those that were under way, and
all that would have come meanwhile are not made, not slow, and not in the statistics. In an open loop connections
start by a schedule, as those of many independent users do, and latency counts from when each one was due: all
who came during the stop have waited for it, and are seen. The difference is called coordinated omission, for
the server decides, unasked, when it is measured. Believe a closed loop where only the cost of a connection is
asked for; ask an open loop what users wait.

The server is the first of the course whose workers exist before a client comes, that of chapter 4, with one worker,
so that there is no other to take its place.
"""
import os
import signal
import threading
import time

import gnuplot
import paths
import program
import registry
import results
import serving
import stats
import terminal
import turns
from comparison import PERCENTS, percentiles_plot

ROUNDS = turns.few(3)
SECONDS = 4
STOP_AFTER, STOP_FOR = 1.5, 0.2
# About 1800 connections a second, which the server does with ease; in haste, beside other things, some 180. Load makes
# 10000 at most.
CLIENTS, WAIT_MS = 4, 20 if turns.HASTE else 2
LOOPS = ("closed", "open")
SHOWN = ("p50_us", "p99_us", "p99.9_us", "max_us")


def stop_for_a_while(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(STOP_FOR)
    finally:
        os.kill(pid, signal.SIGCONT)


def measure(*load_options):
    """Runs load against a server whose worker is stopped meanwhile. Gives its row, and all latencies in order."""
    samples = results.scratch() / "latencies"
    with serving.running(registry.command(registry.first("rest=all")), workers=1) as (process, port):
        worker, = (pid for pid in program.descendants() if pid != process.pid)
        stopper = threading.Timer(STOP_AFTER, stop_for_a_while, [worker])
        stopper.start()
        try:
            row = serving.load(process, port, *load_options, "-d", SECONDS, "-l", samples)
        finally:
            stopper.cancel()  # if it has not begun
            stopper.join()
    if row["max_us"] < STOP_FOR * 1e6 / 2:
        raise program.Failure(f"the worker was stopped for {STOP_FOR} s, but no connection has waited for it")
    return row, list(map(float, samples.read_text().split()))


def measure_all():
    rows, latencies = {loop: [] for loop in LOOPS}, {loop: [] for loop in LOOPS}
    progress = turns.Progress(ROUNDS * len(LOOPS))
    for number in range(1, ROUNDS + 1):
        for loop in LOOPS:
            progress.step(f"round {number} of {ROUNDS}: {loop} loop")
            if loop == "closed":
                row, samples = measure("-c", CLIENTS, "-w", WAIT_MS)
            else:  # at the rate at which the closed loop has just been
                row, samples = measure("-r", f"{rows['closed'][-1]['rate']:.1f}")
            rows[loop].append(row)
            latencies[loop] += samples
    progress.end()
    return rows, {loop: sorted(samples) for loop, samples in latencies.items()}


def ms(microseconds):
    return f"{microseconds / 1000:.{2 if microseconds < 10000 else 0}f}"


def spread(values):
    """Median and range in milliseconds: "0.08 (0.08-0.11)"."""
    low, middle, high = (ms(of(values)) for of in (min, stats.median, max))
    return f"{middle} ({low}-{high})"


def table_rows(rows):
    names = {"closed": f"closed loop, {CLIENTS} clients", "open": "open loop"}
    for loop in LOOPS:
        of_loop = {key: [row[key] for row in rows[loop]] for key in rows[loop][0]}
        yield [names[loop], f"{stats.median(of_loop['rate']):.0f}", *(spread(of_loop[key]) for key in SHOWN)]


def main():
    results.begin()
    rows, latencies = measure_all()
    data = paths.RESULTS / "omission.tsv"
    results.write_table(data, ["percent", *LOOPS],
                        ([percent, *(stats.percentile(latencies[loop], percent) for loop in LOOPS)] for percent in PERCENTS))
    gnuplot.draw("omission.gp", data, paths.RESULTS / "omission",
                 low=latencies["closed"][0], high=max(each[-1] for each in latencies.values()),
                 stop=STOP_FOR * 1e6,
                 rate=f"{stats.median([row['rate'] for row in rows['open']]):.0f}")
    print(percentiles_plot(
        "Latency in ms by percentile (log scales), as each loop reports it",
        {f"{loop} loop": [us / 1000 for us in latencies[loop]] for loop in LOOPS}))
    results.show_table(
        "omission", f"Latency in ms, median (range) of {ROUNDS} runs of {SECONDS} s, in each of which the worker was "
        f"stopped for {STOP_FOR * 1000:.0f} ms", ["", "connections/s", "p50", "p99", "p99.9", "max"], list(table_rows(rows)),
        ["A closed loop measures nothing while its clients wait for the server: it hides the stop, and shows each client's "
         "one slow connection at most.",
         "The open loop counts from when a connection was due, and shows what everybody has waited who came then."])
    print(f"\nby percentile:  {terminal.shown(data)}")
    print(f"picture:        {terminal.shown(paths.RESULTS)}/omission.svg (and .png)")
    lost = sum(row["connections"] - row["ok"] for loop in LOOPS for row in rows[loop])
    if lost:
        raise program.Failure(f"{lost:.0f} connections were lost; is the machine busy with something else?")


if __name__ == "__main__":
    program.main(main)
