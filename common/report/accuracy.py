#!/usr/bin/env python3
"""How well load measures a latency that is known.

The server is tests/accuracy/slow: it answers after 2 ms, and one connection in a hundred after 50 ms, any number
of them at once. It keeps how long each answer really took, from when the kernel had the request; load keeps what
it has measured, at the other end of the connection.

This runs in real time, and so depends on how busy the machine is; it asserts nothing. That load is right within
5 % is asserted in tests/common/load/loop.c, where time is simulated.
"""
import re
import subprocess

import paths
import program
import results
import serving
import stats
import turns

ROUNDS, CONNECTIONS = turns.few(5), 2000
LOOPS = {"closed loop, 4 clients": ("-c", 4), "open loop, 1000/s": ("-r", 1000)}
PERCENTS = (50, 90, 95, 99.5, 99.9)  # 99 is where the slow ones begin: one more or less decides
WITHIN = 0.05


def read(path):
    return sorted(map(float, path.read_text().split()))


def measure(*load_options):
    """Gives the latencies that load has measured, and those that the server gave."""
    measured, given = results.scratch() / "measured", results.scratch() / "given"
    command = [str(paths.BUILD / "tests/accuracy/slow"), str(given)]
    with program.started(command, stdout=subprocess.PIPE, text=True) as server, server.stdout:
        ready = re.match(r"listening on .*:(\d+),", server.stdout.readline())
        if not ready:
            raise program.Failure(f"{command[0]} did not start")
        serving.load(server, int(ready[1]), *load_options, "-n", CONNECTIONS, "-l", measured)
    return read(measured), read(given)


def percentiles(latencies, percent):
    return [stats.percentile(of_round, percent) for of_round in latencies]


def differences(runs):
    """By how much load was wrong, at each percentile: 0.02 for 2 % too much. The median of the rounds."""
    measured, given = zip(*runs)
    return [stats.median(stats.ratios(percentiles(measured, percent), percentiles(given, percent))) - 1 for percent in PERCENTS]


def main():
    results.begin()
    runs = turns.in_turn(ROUNDS, [(loop, lambda l=loop: {l: measure(*LOOPS[l])}) for loop in LOOPS])
    rows = []
    for loop, of_loop in runs.items():
        measured, given = zip(*of_loop)
        for name, latencies in (("the server gave", given), ("load measured", measured)):
            rows.append([f"{loop}: {name}", *(f"{stats.median(percentiles(latencies, p)) / 1000:.3f}" for p in PERCENTS)])
        rows.append(["  difference", *(f"{100 * difference:.1f} %" for difference in differences(of_loop))])
    most = max(abs(difference) for of_loop in runs.values() for difference in differences(of_loop))
    verdict = (f"Load was wrong by {100 * most:.1f} % at most." if most <= WITHIN else
               f"Load was wrong by up to {100 * most:.1f} %: more than {100 * WITHIN:.0f} %. Was the machine busy? Try again.")
    results.show_table("accuracy", f"Latency in ms of {CONNECTIONS} connections, by both ends: median of {ROUNDS} rounds",
                       ["", *(f"p{percent}" for percent in PERCENTS)], rows,
                       [verdict, "Load sees a little more than the server gives: the way there and back, and its own "
                        "wake-up."])


if __name__ == "__main__":
    program.main(main)
