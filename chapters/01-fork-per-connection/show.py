"""What chapter 1 shows: a process per connection works, and costs."""
import pathlib
import re

import measurement
import paths
import registry
import results
import serving
import stats
import textplot
import turns
from plots import Plot

TITLE = "Fork per connection"
QUESTION = "What does a process per connection cost, and what makes it dearer?"
ROLES = "master", "child {}"
COMPARED = True
PLOTS = [
    Plot("",
         "Two lines, for pages of 4 KiB and of 2 MiB: microseconds for fork, exit and wait against "
         "the MiB of memory that the parent uses; both axes are logarithmic.",
         "fork copies no memory of the process, but it copies the tables that say where the memory "
         "is: an entry for each page in use. Pages of 2 MiB need 512 times fewer entries. The bars "
         "on the points are the range of the rounds."),
]


def measure(name):
    """What fork takes, against the memory of who forks."""
    def forkcost():
        _, *lines = measurement.output(paths.built(__file__) / "forkcost").splitlines()
        rows = [line.split("\t") for line in lines]
        return {(int(mib), pages): float(us) for mib, pages, us in rows}

    kinds = ("4 KiB", "2 MiB")
    values = turns.in_turn(3, [("fork at 1 MiB to 1 GiB", forkcost)])
    sizes = sorted({mib for mib, _ in values})
    parts = stats.median, min, max
    measurement.draw(
        name, "forkcost.gp", "",
        ["mib", "small", "small_low", "small_high", "huge", "huge_low", "huge_high"],
        ([mib, *(f"{of(values[mib, pages]):.1f}" for pages in kinds for of in parts)]
         for mib in sizes))
    print(textplot.curves(
        "fork, exit and wait in µs by the memory of the parent (log scales)",
        {f"pages of {pages}": [(mib, stats.median(values[mib, pages])) for mib in sizes]
         for pages in kinds},
        [(mib, str(mib)) for mib in sizes], "MiB of the parent that are in use",
        xlog=True, ylog=True))
    results.show_table(
        name, "fork, exit and wait: µs, median (range)",
        ["memory in use", *(f"{pages} pages" for pages in kinds)],
        ([f"{mib} MiB", *(stats.spread(values[mib, pages]) for pages in kinds)] for mib in sizes))


def break_it():
    """The same connection, while the memory of the server that forks for it grows."""
    memory = pathlib.Path("/proc/meminfo").read_text()
    available = int(re.search(r"^MemAvailable: +(\d+) kB", memory, re.M)[1]) // 1024
    print("one client, one connection after the other; the server has so much memory:")
    first = None
    for mib in [0, 16, 64, 256, 1024]:
        if 2 * mib > available:
            print(f"  {mib:>5} MiB: left out, since only {available} MiB are free")
            continue
        environment = serving.with_memory(mib)
        with serving.running(registry.command("01"), env=environment) as (process, port):
            took = serving.load(process, port, "-c", 1, "-n", 40)["p50_us"]
        first = first or took
        print(f"  {mib:>5} MiB: {took / 1000:8.2f} ms until the echo is back, "
              f"{took / first:6.1f} times as long")
