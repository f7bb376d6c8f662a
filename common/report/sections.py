"""The sections of the page of results, in the order of the course: what each asks, and how to read
its plots.

A section owns the results of its name, and all whose names go on with a dash: "compare" owns
compare-cpu.svg. What no section owns is shown at the end of the page. No text here says what came
out: that differs from machine to machine. The sections of the chapters stand in their rooms: see
chapters.py.
"""
import collections

import chapters
from plots import LATENCY, Plot, called

# number: the chapter's, if it is one. target: the `make` that measures it. plots: in their order on
# the page, each with the table of its name behind it. tables: those that come first of the others.
Section = collections.namedtuple(
    "Section", "group name number title question target plots tables", defaults=([],))

CHAPTERS, COMPARED = "The chapters", "Compared and explained"
LOADED, OTHERS = "Under load", "In the field"


def of_chapter(number):
    """The section of a chapter that measures something."""
    show, name = chapters.show(number), f"chapter-{number}"
    return Section(CHAPTERS, name, number.lstrip("0"), show.TITLE, show.QUESTION, name,
                   called(name, show.PLOTS))


SECTIONS = [
    *(of_chapter(number) for number in chapters.having("PLOTS")),
    Section(COMPARED, "compare", "", "The servers side by side",
            "What does a connection cost with each design, and how long does it take? The servers "
            "run in turn, again and again, so that what disturbs one of them disturbs all; ratios "
            "are taken within a round.",
            "compare", called("compare", LATENCY),
            ["compare-cpu", "compare-latency", "compare-rate"]),
    Section(COMPARED, "cost", "", "What a connection costs besides time",
            "Why does it cost so much CPU time? System calls, context switches and page faults of "
            "a connection explain the figures above: a new process needs pages and calls of its "
            "own, at each connection, before it can echo the first byte; a hand-over needs a few "
            "messages. Last, the memory that the workers hold meanwhile.",
            "cost", [], ["cost-calls", "cost-1", "cost-8", "cost-memory"]),
    Section(COMPARED, "timeline", "", "Where the time of a connection goes",
            "What happens between accept and close, in which process, and when? A trace of the "
            "real servers shows a burst of connections, process by process.", "timeline", [
                Plot("timeline",
                     "For each design a row for who accepts, the master or an acceptor, and one "
                     "for each process that serves; time in milliseconds to the right, on one axis "
                     "for all. Bars are what a process does, coloured by kind: accept, fork and "
                     "exit, hand-over and report, echo, close; thin lines are waiting.",
                     "Follow a connection from the first row to the row of the process that "
                     "serves it. Thin lines are waiting. What is long in one design and missing in "
                     "another is what the design saves."),
                Plot("timeline-*",
                     "The same for one server by itself: a row for the master or acceptor and one "
                     "for each process that serves; time in milliseconds to the right; bars are "
                     "what a process does, coloured by kind.",
                     "One server by itself, with the time axis to its own measure."),
            ]),
    Section(LOADED, "growth", "", "What grows with what",
            "How does the CPU time of a connection change with the number of workers, the number "
            "of clients, the size of the message and the memory of the master? One of them grows, "
            "the others stay.", "growth", [
                Plot("growth-workers",
                     "A line for each design: server CPU in microseconds per connection against "
                     "the number of workers.",
                     "A level line costs the same with any number of processes. A pool's master "
                     "looks through all its channels with select, so its line shows what that "
                     "takes."),
                Plot("growth-clients",
                     "A line for each design: server CPU in microseconds per connection against "
                     "the number of clients.",
                     "More clients than workers wait in the listener's backlog, which costs the "
                     "server nothing."),
                Plot("growth-bytes",
                     "A line for each design: server CPU in microseconds per connection against "
                     "the bytes it echoes.",
                     "The longer the message, the more of the time goes into copying it, which is "
                     "the same for all: what the designs differ by matters less and less."),
                Plot("growth-memory",
                     "A line for each design: server CPU in microseconds per connection against "
                     "the memory that the master uses.",
                     "fork copies the tables of the master's memory. Who forks for each connection "
                     "pays for that each time; a pool paid once, at its start."),
            ]),
    Section(LOADED, "omission", "", "The waiting that a closed loop hides",
            "What do clients wait when a server stands still for a moment? In a closed loop each "
            "waits for its reply before it begins again, so they stand still as well, and what "
            "they would have waited is never measured. In an open loop connections come by a "
            "schedule, as those of many independent users do.", "omission", [
                Plot("omission",
                     "Two curves, for a closed and an open loop with the same server, rate and "
                     "pause: latency in milliseconds, on a logarithmic scale, against the "
                     "percentage of connections served within it; the pause is a horizontal line.",
                     "In the open loop latency counts from the moment at which a connection was "
                     "due. The gap between the curves is what the closed loop leaves out. Ask a "
                     "closed loop what a connection costs, and an open loop what users wait."),
            ]),
    Section(LOADED, "knee", "", "Where each server falls behind",
            "How many connections a second does each design take before its clients begin to "
            "queue? The rate is raised step by step, in an open loop.", "knee", [
                Plot("knee",
                     "For each server its median latency and, thin, the 99th percentile, in "
                     "milliseconds on a logarithmic scale, against the connections that come in a "
                     "second; a vertical line marks the highest rate with which it kept up.",
                     "Left of its line a server keeps up. Right of it more comes than is served, "
                     "and the queue grows for as long as the load lasts: latency there says how "
                     "long that was. Plan to stay well left."),
            ]),
    Section(LOADED, "accuracy", "", "How well the load generator measures",
            "Can these latencies be believed? A server of known latency answers, and both ends say "
            "how long it took.",
            "accuracy", []),
    Section(OTHERS, "peers", "", "Next to servers in use",
            "How do these servers compare with those that distributions ship, given the same echo, "
            "the same number of processes and the same clients? And what does it cost that a "
            "master hands each connection over?", "peers", [
                Plot("peers",
                     "A panel for each number of clients, a row for each server: microseconds of "
                     "server CPU per connection, as a point with the range of the rounds, on a "
                     "logarithmic scale.",
                     "Points to the left are cheaper; the same step to the right is the same "
                     "factor everywhere. All serve the same clients, in turn. What they do and "
                     "promise besides differs, so read the notes below the tables together with "
                     "the figures."),
            ]),
]
