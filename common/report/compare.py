#!/usr/bin/env python3
"""Compares servers in turn, A B C A B C ..., and draws what came out.

compare.py [NAME [SERVER ...]]: NAME names the results; without it all servers, at length.
"""
import pathlib
import sys

import bench

COLUMNS = ["clients", "connections", "ok", "refused", "reset", "cut_short", "corrupt", "timed_out",
           "seconds", "rate", "p50_us", "p90_us", "p99_us", "p99.9_us", "max_us", "server_us", "load_us"]
PERCENTS = [*range(0, 90), *(90 + i / 2 for i in range(18)), *(99 + i / 20 for i in range(19)), 99.95, 99.99]


def measure(name, servers, clients, rounds, seconds):
    """Loads each server at each number of clients, in turn. Gives the rows, and all latencies."""
    rows, latencies = [], {}
    samples = bench.scratch() / "latencies"
    progress = bench.Progress(rounds * len(clients) * len(servers))
    for number in range(1, rounds + 1):
        for count in clients:
            for server in servers:
                progress.step(f"round {number} of {rounds}: chapter {server}, {count} clients")
                with bench.running(bench.server_command(server)) as (process, port):
                    row = bench.load(process, port, "-c", count, "-d", seconds, "-n", 10**8, "-l", samples)
                rows.append(row | {"round": number, "server": server, "clients": count})
                latencies.setdefault((server, count), []).extend(map(float, samples.read_text().split()))
    progress.end()
    return rows, latencies


def values(rows, server, clients, column):
    """A column of one server at one number of clients, by round."""
    return [row[column] for row in rows if row["server"] == server and row["clients"] == clients]


def ratios(rows, server, base, clients, column):
    """Of each round by itself: what was measured one after the other is compared."""
    return [a / b for a, b in zip(values(rows, server, clients, column), values(rows, base, clients, column))]


def print_table(name, rows, servers, clients):
    width = 21

    def line(title, cells):
        print(f"{title:<28}" + "".join(f"{cell:>{width}}" for cell in cells))

    def section(title, column, compare):
        print()
        line(title, [])
        for server in servers:
            line("  " + bench.NAMES[server], [bench.spread(values(rows, server, n, column)) for n in clients])
        if compare:
            for server in servers[1:]:
                line(f"  {server} / {servers[0]}, by round",
                     [bench.spread(ratios(rows, server, servers[0], n, column), "{:.2f}") for n in clients])

    line("median (range)", [f"{n} client{'s' * (n > 1)}" for n in clients])
    section("server CPU, µs/connection", "server_us", True)
    section("latency p50, µs", "p50_us", True)
    section("latency p99, µs", "p99_us", False)
    section("latency p99.9, µs", "p99.9_us", False)
    section("connections/s", "rate", False)
    print()
    lost = {server: sum(row["connections"] - row["ok"] for row in rows if row["server"] == server)
            for server in servers}
    total = sum(row["connections"] for row in rows)
    print(f"of {total:.0f} connections lost: " + ", ".join(f"{n:.0f} by chapter {s}" for s, n in lost.items()))
    noisy = [(s, n) for s in servers[1:] for n in clients
             if (r := ratios(rows, s, servers[0], n, "server_us")) and max(r) > 1.4 * min(r)]
    if noisy:
        print("The machine was noisy: CPU ratios differ by more than 40 % between rounds at "
              + ", ".join(f"chapter {s} with {n} client{'s' * (n > 1)}" for s, n in noisy) + f". Try again: make {name}")
    return sum(lost.values())


def write_results(name, rows, latencies, servers, clients):
    """Three files: every run, the medians by number of clients, latency by percentile.

    Gives the lowest and the highest latency that each plot of latencies shows.
    """
    results = bench.RESULTS
    bench.write_table(results / f"{name}.tsv", ["round", "server", *COLUMNS],
                      ([row["round"], row["server"], *(f"{row[c]:.10g}" for c in COLUMNS)] for row in rows))

    def medians(n):
        for server in servers:
            for column in ("p50_us", "p99_us", "server_us"):
                yield f"{bench.median(values(rows, server, n, column)):.2f}"
            yield f"{min(values(rows, server, n, 'server_us')):.2f}"
            yield f"{max(values(rows, server, n, 'server_us')):.2f}"

    header = [f"{column} {server}" for server in servers for column in ("p50", "p99", "cpu", "low", "high")]
    bench.write_table(results / f"{name}-clients.tsv", ["clients", *header], ([n, *medians(n)] for n in clients))

    ordered = {key: sorted(all_of_it) for key, all_of_it in latencies.items()}
    bench.write_table(
        results / f"{name}-percentiles.tsv",
        ["percent", *(f"{server} {n}" for n in clients for server in servers)],
        ([percent, *(bench.percentile(ordered[server, n], percent) for n in clients for server in servers)]
         for percent in PERCENTS))
    shown = [all_of_it for (_, n), all_of_it in ordered.items() if n in (clients[0], clients[-1])]
    medians_shown = [bench.median(values(rows, s, n, c)) for s in servers for n in clients for c in ("p50_us", "p99_us")]
    return {"percentiles": (min(each[0] for each in shown), max(bench.percentile(each, 99.99) for each in shown)),
            "clients": (min(medians_shown), max(medians_shown))}


def draw(name, servers, clients, ranges):
    """Gives the terminal's versions of the plots, by plot."""
    results = bench.RESULTS
    titles = "|".join(bench.NAMES[server] for server in servers)
    common = {"titles": titles, "clients": " ".join(map(str, clients)), "servers": " ".join(servers)}

    def limits(plot):
        return dict(zip(("low", "high"), ranges.get(plot, ())))

    return {plot: bench.draw(f"{plot}.gp", results / f"{name}-{data}.tsv", results / f"{name}-{plot}", **common, **limits(plot))
            for plot, data in (("percentiles", "percentiles"), ("clients", "clients"), ("cpu", "clients"))}


def compare(name, servers, clients, rounds, seconds):
    rows, latencies = measure(name, servers, clients, rounds, seconds)
    ranges = write_results(name, rows, latencies, servers, clients)
    pictures = draw(name, servers, clients, ranges)
    for picture in pictures.values():
        print(picture)
    lost = print_table(name, rows, servers, clients)
    print(f"\nall runs:  {bench.RESULTS / name}.tsv")
    for plot in pictures:
        print(f"picture:   {bench.RESULTS / name}-{plot}.svg (and .png)")
    if lost:
        raise bench.Failure(f"{lost:.0f} connections were lost")


def main():
    if len(sys.argv) > 1:
        sys.exit(f"usage: {pathlib.Path(sys.argv[0]).name}")
    compare("compare", ["01", "04", "05"], [1, 8, 32, 128], 5, 2)


if __name__ == "__main__":
    bench.main(main)
