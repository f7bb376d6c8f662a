"""What chapter 2 shows: two processes that talk, and a stream that keeps no boundaries."""
import re
import subprocess

import measurement
import paths
import program
import tables
import turns
from plots import Plot

PINGPONG = paths.built(__file__) / "pingpong"

TITLE = "Socketpair"
QUESTION = ("How fast can two processes talk? A byte goes there and back, through each kind of "
            "channel.")
ROLES = "parent", "child"
PLOTS = [
    Plot("",
         "Bars from zero, for a pipe and three kinds of socketpair: microseconds for a byte there "
         "and back, with both processes on one CPU and on any.",
         "Bars start at zero, thin lines are the range of the rounds. On one CPU the two take "
         "turns. On several each must wake the other, and where they run the scheduler chooses: "
         "look at the range."),
]
TRACED = [PINGPONG, "-n", "1"]


def measure(name):
    """A round trip, by kind of channel."""
    def pingpong(kind, place, cpus):
        out = measurement.output(PINGPONG, "-t", kind, "-n", "10000", cpus=cpus)
        return {(kind, place): float(re.search(r", ([\d.]+) µs each", out)[1])}

    places = dict(measurement.placements())
    kinds = "pipe", "stream", "seqpacket", "dgram"
    runs = [(f"{kind}, {place}", lambda k=kind, p=place: pingpong(k, p, places[p]))
            for kind in kinds for place in places]
    values = turns.in_turn(5, runs)
    measurement.bars(name, "A byte there and back", values, list(places))


def break_it():
    """A message is lost because a stream keeps no boundaries."""
    subprocess.run([paths.built(__file__) / "boundaries"], check=True)


def look():
    """pingpong at play, for as long as it takes to look."""
    with tables.looked_at([PINGPONG, "-n", "100000000"]) as process:

        def sockets(pid):
            held = tables.descriptors(pid)
            return sum("socket" in what for number, what in held.items() if number > 2)

        def settled():  # the first two shows have children of their own, and end soon
            child = program.children(process.pid)
            return child and [sockets(process.pid), sockets(child[0])] == [1, 1] \
                and program.children(process.pid) == child

        program.wait_until(settled, "the third show")
        tables.show({"parent": process.pid, "child": program.children(process.pid)[0]},
                    "parent and child, as they talk")
