"""What chapter 3 shows: a descriptor that travels, and a receiver that believes what it is sent."""
import os
import subprocess
import tempfile

import measurement
import paths
import program
import tables
import turns
from plots import Plot

HANDOFF = paths.built(__file__) / "handoff"

TITLE = "Descriptor passing"
QUESTION = ("What does it cost to give an open descriptor to another process? It is shown next to "
            "a byte alone, which is the least that a message can cost, and to a new process, which "
            "is what the passing saves.")
ROLES = "giver", "taker"
PLOTS = [
    Plot("",
         "Bars from zero: microseconds for one byte there and back, for a descriptor passed, and "
         "for fork, exit and wait, with both processes on one CPU and on any.",
         "The first two bars differ by the descriptor in the message. The third is a process with "
         "next to no memory: the cheapest there is."),
]
TRACED = [HANDOFF]


def measure(name):
    """A descriptor that is passed, beside a byte alone and beside a new process."""
    def passcost(place, cpus):
        lines = measurement.output(paths.built(__file__) / "passcost", cpus=cpus).splitlines()[1:]
        return {(way, place): float(us) for way, us in (line.split("\t") for line in lines)}

    places = dict(measurement.placements())
    values = turns.in_turn(5, [(place, lambda p=place: passcost(p, places[p])) for place in places])
    measurement.bars(name, "An open descriptor for another process", values, list(places))


def break_it():
    """What becomes of a receiver that believes what it is sent."""
    subprocess.run([paths.built(__file__) / "naive"], check=True)


def look():
    """handoff with a named pipe for its file, since a read from that waits until we write."""
    with tempfile.TemporaryDirectory() as folder:
        fifo = os.path.join(folder, "file")
        os.mkfifo(fifo)
        with tables.looked_at([HANDOFF, fifo]) as giver:
            writer = os.open(fifo, os.O_WRONLY)  # waits until the giver has opened it
            taker = program.children(giver.pid)[0]
            both = {"giver": giver.pid, "taker": taker}

            def settled(count):  # of the ends of their channel, each keeps one
                held = [list(tables.descriptors(pid).values()) for pid in both.values()]
                return [sum("socket" in what for what in of_one) for of_one in held] == [1, 1] \
                    and sum(fifo in what for what in held[1]) == count

            try:
                program.wait_until(lambda: settled(0), "the taker")
                tables.show(both, "before: the giver has opened a file")
                os.write(writer, b"sixteen bytes of")
                program.wait_until(lambda: settled(1), "the hand-over")
                tables.show(both, "after: the taker has it, too")
            finally:
                # And with it the taker, before the file ends: neither has a word to say then.
                program.end(giver)
                os.close(writer)
