"""Compares servers in turn, A B C A B C ..., at several numbers of clients: tables and plots."""
import math

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

COLUMNS = ["clients", "connections", "ok", "refused", "reset", "cut_short", "corrupt", "timed_out",
           "seconds", "rate", "p50_us", "p90_us", "p99_us", "p99.9_us", "max_us", "server_us", "load_us"]
PERCENTS = [*range(0, 90), *(90 + i / 2 for i in range(18)), *(99 + i / 20 for i in range(19)), 99.95, 99.99]


def measure(servers, clients, rounds, seconds):
    """Loads each server at each number of clients, in turn. Gives the rows, and all latencies."""
    latencies = {}
    samples = results.scratch() / "latencies"

    def run(server, count):
        with serving.running(registry.command(server)) as (process, port):
            row = serving.load(process, port, "-c", count, "-d", seconds, "-n", 10**8, "-l", samples)
        latencies.setdefault((server, count), []).extend(map(float, samples.read_text().split()))
        return {(server, count): row}

    by_run = turns.in_turn(rounds, [(f"chapter {server}, {clients_text(count)}", lambda s=server, c=count: run(s, c))
                                    for count in clients for server in servers])
    rows = [row | {"server": server, "clients": count, "round": number}
            for (server, count), rows in by_run.items() for number, row in enumerate(rows, 1)]
    return sorted(rows, key=lambda row: row["round"]), latencies


def clients_text(count):
    return f"{count} client{'s' * (count > 1)}"


def values(rows, server, clients, column):
    """A column of one server at one number of clients, by round."""
    return [row[column] for row in rows if row["server"] == server and row["clients"] == clients]


def show_tables(name, rows, servers, clients, command):
    columns = [""] + [clients_text(n) for n in clients]
    rounds = f"median (range) of {max(row['round'] for row in rows)} rounds"

    def lines(column, prefix=""):
        for server in servers:
            yield [prefix + registry.label(server), *(stats.spread(values(rows, server, n, column)) for n in clients)]

    def ratios(server, n, column):
        return stats.ratios(values(rows, server, n, column), values(rows, servers[0], n, column))

    def ratio_lines(column, prefix=""):
        for server in servers[1:]:
            yield [f"{prefix}{server} / {servers[0]}, by round",
                   *(stats.ratio_text(ratios(server, n, column)) for n in clients)]

    def show(part, title, table):
        results.show_table(f"{name}-{part}", f"{title}: {rounds}", columns, table,
                           stats.mark_notes(table))

    show("cpu", "Server CPU, µs per connection", [*lines("server_us"), *ratio_lines("server_us")])
    show("latency", "Latency, µs", [*lines("p50_us", "p50: "), *ratio_lines("p50_us", "p50: "),
                                    *lines("p99_us", "p99: "), *lines("p99.9_us", "p99.9: ")])
    show("rate", "Connections per second", [*lines("rate")])
    print()
    lost = {server: sum(row["connections"] - row["ok"] for row in rows if row["server"] == server)
            for server in servers}
    total = sum(row["connections"] for row in rows)
    print(terminal.wrapped(f"connections lost, of {total:.0f}: "
                           + ", ".join(f"{n:.0f} by chapter {s}" for s, n in lost.items()),
                           "", "  "))
    warning = stats.noise_warning({f"CPU {s} / {servers[0]}, {clients_text(n)}": ratios(s, n, "server_us")
                                   for s in servers[1:] for n in clients}, command)
    if warning:
        print(terminal.wrapped(warning))
    return sum(lost.values())


def write_results(name, rows, latencies, servers, clients):
    """Three files: every run, the medians by number of clients, latency by percentile.

    Gives the lowest and the highest latency that each plot of latencies shows.
    """
    results.write_table(paths.RESULTS / f"{name}.tsv", ["round", "server", *COLUMNS],
                        ([row["round"], row["server"], *(f"{row[c]:.10g}" for c in COLUMNS)] for row in rows))

    def medians(n):
        for server in servers:
            for column in ("p50_us", "p99_us", "server_us"):
                yield f"{stats.median(values(rows, server, n, column)):.2f}"
            yield f"{min(values(rows, server, n, 'server_us')):.2f}"
            yield f"{max(values(rows, server, n, 'server_us')):.2f}"

    header = [f"{column} {server}" for server in servers for column in ("p50", "p99", "cpu", "low", "high")]
    results.write_table(paths.RESULTS / f"{name}-clients.tsv", ["clients", *header], ([n, *medians(n)] for n in clients))

    ordered = {key: sorted(all_of_it) for key, all_of_it in latencies.items()}
    results.write_table(
        paths.RESULTS / f"{name}-percentiles.tsv",
        ["percent", *(f"{server} {n}" for n in clients for server in servers)],
        ([percent, *(stats.percentile(ordered[server, n], percent) for n in clients for server in servers)]
         for percent in PERCENTS))
    shown = [all_of_it for (_, n), all_of_it in ordered.items() if n in (clients[0], clients[-1])]
    medians_shown = [stats.median(values(rows, s, n, c)) for s in servers for n in clients for c in ("p50_us", "p99_us")]
    return {"percentiles": (min(each[0] for each in shown), max(stats.percentile(each, 99.99) for each in shown)),
            "clients": (min(medians_shown), max(medians_shown))}


def draw(name, servers, clients, ranges):
    """The pictures. Gives the names of the plots."""
    titles = "|".join(registry.label(server) for server in servers)
    common = {"titles": titles, "clients": " ".join(map(str, clients)), "servers": " ".join(servers)}

    def limits(plot):
        return dict(zip(("low", "high"), ranges.get(plot, ())))

    plots = {"percentiles": "percentiles", "clients": "clients", "cpu": "clients"}  # of which data
    for plot, data in plots.items():
        gnuplot.draw(f"{plot}.gp", paths.RESULTS / f"{name}-{data}.tsv",
                     paths.RESULTS / f"{name}-{plot}", **common, **limits(plot))
    return list(plots)


def percentiles_plot(title, ordered):
    """Latency by percentile on the terminal, of lists in order, by name. The axis stretches towards
    100 %: each step is ten times rarer.
    """
    def x(percent):
        return -math.log10(1 - percent / 100)

    return textplot.curves(
        title,
        {name: [(x(percent), stats.percentile(latencies, percent)) for percent in PERCENTS]
         for name, latencies in ordered.items()},
        [(x(percent), str(percent)) for percent in (50, 90, 99, 99.9, 99.99)],
        "% of the connections: slower to the right", ylog=True)


def show_plots(rows, latencies, servers, clients):
    """The same on the terminal: latency by percentile with the most clients."""
    def medians(server, column):
        return [(n, stats.median(values(rows, server, n, column))) for n in clients]

    most = clients[-1]
    print("\n" + percentiles_plot(
        f"Latency in µs by percentile, {clients_text(most)} (log scales)",
        {registry.label(server): sorted(latencies[server, most]) for server in servers}))
    print("\n" + textplot.curves(
        "Latency p50 in µs by the number of clients (log scales)",
        {registry.label(server): medians(server, "p50_us") for server in servers},
        [(n, str(n)) for n in clients], "clients, each with one connection at a time",
        xlog=True, ylog=True))
    cpu = {server: dict(medians(server, "server_us")) for server in servers}
    print("\n" + textplot.bars(
        "Server CPU in µs per connection",
        {clients_text(n): {registry.label(server): cpu[server][n] for server in servers}
         for n in clients}))


def in_short(rows, servers, clients):
    """What has come out, for the end: the CPU time that each server needs beside the first."""
    cases = (f"{clients[0]} to " if len(clients) > 1 else "") + clients_text(clients[-1])
    lines = [f"In short: CPU per connection, {cases}, beside {registry.label(servers[0])}:"]
    for server in servers[1:]:
        by_clients = {n: stats.ratios(values(rows, server, n, "server_us"),
                                      values(rows, servers[0], n, "server_us")) for n in clients}
        lines.append(f"  {registry.label(server)}: {stats.in_words(by_clients, clients_text)}")
    return "\n".join(terminal.wrapped(line.strip(), "  " * line.startswith(" "), "    ")
                     for line in lines)


def many(name, servers, sizes, clients):
    """The CPU time of a connection with more and more workers, for so many clients: a table."""
    def cpu(server, workers):
        with serving.running(registry.command(server), workers) as (process, port):
            return serving.load(process, port, "-c", clients, "-d", 1, "-n", 10**8)["server_us"]

    found = turns.in_turn(3, [(f"{workers} workers, {registry.label(server)}",
                               lambda s=server, w=workers: {(s, w): cpu(s, w)})
                              for workers in sizes for server in servers])
    results.show_table(f"{name}-many-{clients}", f"Server CPU, µs per connection, with so many workers for "
                       f"{clients_text(clients)}: median (range)", ["", *(f"{workers} workers" for workers in sizes)],
                       ([registry.label(server), *(stats.spread(found[server, workers]) for workers in sizes)]
                        for server in servers))


def compare(name, servers, clients, rounds, seconds, command=None, also=lambda rows: None):
    """Measures, shows and keeps everything, and what ALSO shows of the rows. The verdict is last.

    Fails when a connection was lost.
    """
    rows, latencies = measure(servers, clients, rounds, seconds)
    ranges = write_results(name, rows, latencies, servers, clients)
    plots = draw(name, servers, clients, ranges)
    show_plots(rows, latencies, servers, clients)
    lost = show_tables(name, rows, servers, clients, command or f"make {name}")
    also(rows)
    results_at = terminal.shown(paths.RESULTS / name)
    print(f"\nall runs:  {results_at}.tsv")
    for path in results.earlier(name)[-1:]:
        print(f"before:    {terminal.shown(path)}")
    for plot in plots:
        print(f"picture:   {results_at}-{plot}.svg (and .png)")
    print("\n" + in_short(rows, servers, clients))
    if lost:
        raise program.Failure(f"{lost:.0f} connections were lost")
