"""How plots are read, in the words that the page of results has below each."""
import collections

# name: of its file, or a pattern of names, which need not be there; what is drawn, for who cannot
# see it; how to read it.
Plot = collections.namedtuple("Plot", "name drawn reading")

LATENCY = [
    Plot("percentiles",
         "Two panels with a curve for each server: latency in microseconds, on a logarithmic "
         "scale, against the percentage of connections served within it. Left with the fewest "
         "clients, right with the most.",
         "The x axis stretches towards 100 %: each step to the right is ten times rarer. Lower is "
         "better. Where curves run level, every connection is served alike; where they rise, some "
         "wait."),
    Plot("cpu",
         "Bars from zero, one for each server in a group for each number of clients: microseconds "
         "of CPU time of the server and all its processes, per connection.",
         "The CPU time of the server and all its processes, divided by the connections served. On "
         "a busy machine this is the steadiest figure. The thin lines are the range of the "
         "rounds."),
    Plot("clients",
         "Two lines for each server, the median latency, thick, and above it, thin, the 99th "
         "percentile, in microseconds against the number of clients; both axes are logarithmic.",
         "Each client has one connection at a time and opens the next when it has its reply. From "
         "the number of clients that keeps the CPUs busy, latency can only grow with it."),
]


def latency(*order):
    """The plots that each comparison of servers has; those named come first."""
    return sorted(LATENCY, key=lambda plot: [*order, plot.name].index(plot.name))


def called(name, plots):
    """The same plots with the whole names of their files: "compare-cpu" for "cpu", "chapter-01" for
    "".
    """
    return [plot._replace(name=f"{name}-{plot.name}".rstrip("-")) for plot in plots]
