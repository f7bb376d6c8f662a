#!/usr/bin/env python3
"""Measures how the cost of a connection grows: with workers, clients, bytes, and the master's memory.

growth.py [AXIS ...]: all four, or those named. The servers that stand beside each other, in turn.
"""
import pathlib
import re
import subprocess
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
ROUNDS = turns.few(5)


def most_workers():
    """The most workers that a server with select can have: it says so when it is asked for too many."""
    command = [*registry.command(registry.first("select")), "-p", "0", "100000"]
    said = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          text=True, check=False).stderr
    at_most = re.search(r"at most (\d+)", said)
    if not at_most:
        raise program.Failure(f"{command[0]} does not say how many workers it can have: {said.strip()}")
    return int(at_most[1])


VERY_MANY = 1200 if turns.HASTE else 4000  # workers, of those that do not use select


def can_have(server, workers):
    """Whether so many can be started here; if not the server says why."""
    try:
        with serving.running(registry.command(server), workers):
            return True
    except program.Failure:
        print(f"left out: {workers} workers of chapter {server} cannot be started here")
        return False


def workers_points():
    most = most_workers()
    others = [server for server in SERVERS if "select" not in registry.servers()[server].can]
    points = [1, 4, 16, 64, 256]
    points += [most] * can_have(registry.first("select"), most)
    return points + [VERY_MANY] * all(can_have(server, VERY_MANY) for server in others)


def available_mib():
    return int(re.search(r"^MemAvailable: +(\d+) kB", pathlib.Path("/proc/meminfo").read_text(), re.M)[1]) // 1024


# ---- the axes: which points, what a run does there, and how the plot is to be drawn ----


def run(server, *options, workers=8, ballast=0):
    """The server's CPU for a connection, in µs."""
    if turns.HASTE:
        options = (*options[:-1], 100)  # what follows -n: the points are many, and one look at each is enough
    with serving.running(registry.command(server), workers, env=serving.with_memory(ballast)) as (process, port):
        row = serving.load(process, port, "-d", 1, *options)
    if row["ok"] < row["connections"]:
        raise program.Failure(f"{row['connections'] - row['ok']:.0f} connections of chapter {server} were lost")
    return row["server_us"]


AXES = {
    "workers": {
        "points": workers_points,
        "run": lambda server, workers: run(server, "-c", 8, "-n", 2000, workers=workers),
        "title": "Cost against the number of workers, with 8 clients",
        "label": "workers, log scale; select can watch no more than about a thousand",
        "log": "x",
        "leaves_out": lambda server, workers: "select" in registry.servers()[server].can and workers == VERY_MANY,
    },
    "clients": {
        "points": lambda: [1, 4, 16, 64, 250, 1000],
        "run": lambda server, clients: run(server, "-c", clients, "-n", 2000),
        "title": "Cost against the number of clients, with 8 workers",
        "label": "clients, each with one connection at a time, log scale",
        "log": "x",
    },
    "bytes": {
        "points": lambda: [1, 64, 1024, 16 << 10, 128 << 10, 1 << 20],
        "run": lambda server, size: run(server, "-c", 8, "-b", size, "-n", 2000 if size < 1 << 17 else 300),
        "title": "Cost against the size of the message, with 8 clients and 8 workers",
        "label": "bytes there and back, log scale",
        "log": "xy",
    },
    "memory": {
        # Not more than half of what is free: the master's, and nobody else's, but nothing may be swapped.
        "points": lambda: [0, *(mib for mib in (64, 128, 256, 512, 1024) if 2 * mib < available_mib())],
        "run": lambda server, mib: run(server, "-c", 8, "-n", 2000 if mib < 256 else 500, ballast=mib),
        "title": "Cost against the memory of the master, with 8 clients and 8 workers",
        "label": "MiB that the master has in use besides its own, in pages of 4 KiB",
        "log": "",
    },
}


def measure(axis):
    """Gives the values by server and point, each in the order of the rounds."""
    points = AXES[axis]["points"]()

    def once(server, point):
        return {(server, point): AXES[axis]["run"](server, point)}

    leaves_out = AXES[axis].get("leaves_out", lambda server, point: False)
    return turns.in_turn(ROUNDS, [(f"{axis}: chapter {server}, {point}", lambda s=server, p=point: once(s, p))
                                  for point in points for server in SERVERS if not leaves_out(server, point)]), points


def point_text(axis, point):
    if axis == "bytes" and point >= 1 << 20:
        return f"{point >> 20} MiB"
    if axis == "bytes" and point >= 1 << 10:
        return f"{point >> 10} KiB"
    return f"{point} {'B' if axis == 'bytes' else ''}".strip()


def show(axis, values, points):
    name, how = f"growth-{axis}", AXES[axis]
    parts = (("median", stats.median), ("low", min), ("high", max))
    table = paths.RESULTS / f"{name}.tsv"
    measured = {server: [point for point in points if (server, point) in values] for server in SERVERS}

    def number(server, point, of):
        return f"{of(values[server, point]):.2f}" if point in measured[server] else "nan"

    results.write_table(table, [axis, *(f"{server} {part}" for server in SERVERS for part, _ in parts)],
                        ([point, *(number(server, point, of) for server in SERVERS for _, of in parts)]
                         for point in points))
    everything = [value for each in values.values() for value in each]
    gnuplot.draw("growth.gp", table, paths.RESULTS / name,
                 title=how["title"], label=how["label"], log=how["log"],
                 points=" ".join(str(point) for point in points),
                 point_names="|".join(point_text(axis, point) for point in points),
                 servers=" ".join(SERVERS),
                 titles="|".join(registry.label(server) for server in SERVERS),
                 low=min(everything), high=max(everything))
    print("\n" + textplot.curves(
        f"{how['title']}: µs{', log scale' if 'y' in how['log'] else ''}",
        {registry.label(server): [(point, stats.median(values[server, point])) for point in measured[server]]
         for server in SERVERS},
        [(point, point_text(axis, point)) for point in points], how["label"],
        xlog="x" in how["log"], ylog="y" in how["log"]))
    # How much it has grown from the first point to the last is looked at round by round.
    grown = {server: stats.ratios(values[server, measured[server][-1]], values[server, points[0]])
             for server in SERVERS}
    cells = [[registry.label(server), *(stats.spread(values[server, point]) if point in measured[server] else ""
                                        for point in points),
              stats.ratio_text(grown[server])] for server in SERVERS]
    results.show_table(name, f"Server CPU, µs per connection, by {axis}: median (range) of {ROUNDS} rounds",
                       ["", *(point_text(axis, point) for point in points), "last / first"], cells, stats.mark_notes(cells))


def main():
    axes = sys.argv[1:] or list(AXES)
    if not set(axes) <= set(AXES):
        sys.exit(f"usage: {pathlib.Path(sys.argv[0]).name} [{'|'.join(AXES)}] ...")
    results.begin()
    for axis in axes:
        values, points = measure(axis)
        show(axis, values, points)
    print()
    for axis in axes:
        print(f"picture:   {terminal.shown(paths.RESULTS)}/growth-{axis}.svg (and .png, .tsv)")


if __name__ == "__main__":
    program.main(main)
