#!/usr/bin/env python3
"""Measures the chapters' servers beside other people's servers, in turn, and draws what came out.

All of them with 8 workers and the same load: a connection with one message of 64 bytes, a line of text,
since Apache echoes nothing else.
"""
import gnuplot
import paths
import program
import results
import stats
import terminal
import turns
import designs

CLIENTS = (1, 8, 32)
ROUNDS = turns.few(5)
NOTES = (
    "CPU is that of all processes of a server, for one connection. Ratios are taken round by round.",
    "xinetd and socat fork for each connection, and xinetd looks up the client's "
    "name besides, and does not limit its children.",
)


def clients_text(count):
    return f"{count} client{'s' * (count > 1)}"


def measure(names):
    """Gives the rows of load by design and number of clients, each in the order of the rounds."""
    def run(name, clients):
        with designs.running(name) as (process, port):
            return {(name, clients): designs.load(name, process, port, "-c", clients, "-d", 1, "-n", 10**7)}

    return turns.in_turn(ROUNDS, [(f"{designs.label(name)}, {clients_text(clients)}", lambda n=name, c=clients: run(n, c))
                                  for clients in CLIENTS for name in names])


def column(rows, name):
    return [row[name] for row in rows]


def show(names, rows):
    def cpu(name, clients):
        return column(rows[name, clients], "server_us")

    # The others are compared with the first, with a pool that hands over, with one whose workers
    # accept, and with Apache.
    kinds = [next((name for name in names if designs.can(name, word)), None) for word in ("hand-over", "accept")]
    bases = [name for name in names if name in (names[0], *kinds, "apache")]
    comparisons = {}
    for clients in CLIENTS:
        table = []
        for name in names:
            ratios = {base: stats.ratios(cpu(name, clients), cpu(base, clients)) for base in bases if base != name}
            for base, by_round in ratios.items():
                if f"{base} / {name}, {clients_text(clients)}" not in comparisons:
                    comparisons[f"{name} / {base}, {clients_text(clients)}"] = by_round
            table.append([designs.label(name), stats.spread(cpu(name, clients)),
                          f"{stats.median(column(rows[name, clients], 'p50_us')):.0f}",
                          *(stats.ratio_text(ratios[base]) if base in ratios else "" for base in bases)])
        results.show_table(f"peers-{clients}", f"{clients_text(clients)}, 8 workers: median (range) of {ROUNDS} rounds",
                           ["", "CPU, µs", "p50, µs", *(f"CPU / {designs.short(base)}" for base in bases)], table,
                           [*(NOTES if clients == CLIENTS[-1] else ()), *stats.mark_notes(table)])
    warning = stats.noise_warning(comparisons, "make peers")
    if warning:
        print("\n" + terminal.wrapped(warning))


def write(names, rows):
    keys = list(next(iter(rows.values()))[0])
    results.write_table(paths.RESULTS / "peers.tsv", ["round", "design", *keys],
                        ([number + 1, name, *(f"{rows[name, clients][number][key]:.10g}" for key in keys)]
                         for number in range(ROUNDS) for clients in CLIENTS for name in names))
    # For the plot: a line for each design, from top to bottom; three columns for each number of clients.
    plot = results.scratch() / "peers-plot.tsv"
    results.write_table(plot, ["design", *(f"{clients} {part}" for clients in CLIENTS for part in ("median", "low", "high"))],
                        ([name, *(f"{of(column(rows[name, clients], 'server_us')):.2f}"
                                  for clients in CLIENTS for of in (stats.median, min, max))] for name in names))
    gnuplot.draw("peers.gp", plot, paths.RESULTS / "peers", letters=17, height=675.0,
                 clients=" ".join(map(str, CLIENTS)),
                 designs=" ".join(names), titles="|".join(designs.label(name) for name in names),
                 lowest=min(min(column(each, "server_us")) for each in rows.values()),
                 highest=max(max(column(each, "server_us")) for each in rows.values()))


def main():
    results.begin()
    names = designs.present(designs.everything())
    rows = measure(names)
    write(names, rows)
    show(names, rows)
    print(f"\nall runs:  {terminal.shown(paths.RESULTS)}/peers.tsv")
    print(f"picture:   {terminal.shown(paths.RESULTS)}/peers.svg (and .png)")
    lost = {name: sum(row["connections"] - row["ok"] for clients in CLIENTS for row in rows[name, clients]) for name in names}
    if any(lost.values()):
        raise program.Failure("connections were lost: " + ", ".join(f"{n:.0f} by {designs.label(s)}" for s, n in lost.items() if n))


if __name__ == "__main__":
    program.main(main)
