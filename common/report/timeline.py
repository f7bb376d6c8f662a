#!/usr/bin/env python3
"""Draws what happened to 20 connections, process by process, from a trace of the real server.

timeline.py [NAME]: of one server; without NAME, fork, prefork and the queue on one time axis.
"""
import collections
import contextlib
import mmap
import os
import struct
import subprocess
import sys
import time

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

# A burst is so many connections by so many clients, to a server with so many workers. Some bursts only
# warm up; of the others one is drawn.
WORKERS, CLIENTS, CONNECTIONS, WARM_UP, BURSTS = 4, 4, 20, 10, 40

# ---- reading a trace: struct trace in common/trace/trace.h ----

Event = collections.namedtuple("Event", "begin end socket pid descriptor other result error call")
COUNT, EVENT = struct.Struct("=Q"), struct.Struct("=qqQiiiii12s")


def count(trace):
    """How many events there are, and how many of them found no room."""
    number, room = COUNT.unpack_from(trace)[0], (len(trace) - COUNT.size) // EVENT.size
    return min(number, room), max(number - room, 0)


def read(trace, first=0):
    """The events from number FIRST on, in the order in which they ended."""
    events = (EVENT.unpack_from(trace, COUNT.size + i * EVENT.size) for i in range(first, count(trace)[0]))
    return sorted((Event(*event[:-1], event[-1].rstrip(b"\0").decode()) for event in events if event[1]),
                  key=lambda event: event.end)


# ---- what the events say of a connection ----

# The calls from accept to the end of it. The master: accept, give (fork or sendmsg), drop (closes its
# copy), done (waitpid, or the read of the report). The process that serves: take (fork, or recvmsg),
# recv, send, close, leave (exit, or the report). What there is not is None: where a process accepts
# and does nothing else, the acceptor, who serves reports nothing; where who serves accepts by
# itself, there is no give and no drop either. Where only a number is given (by send) it is taken by
# pidfd_getfd, and when the acceptor closes its copy the connection has long been served.
Connection = collections.namedtuple("Connection", "accept give drop done take recv send close leave")


def follow(accept, events, workers=(), acceptor=None):
    """What happened to a connection, which one of these workers has accepted, or the acceptor, or
    else the master. None if that is not complete."""
    def first(condition):
        return next(filter(condition, events))

    def calls(who, after, names, descriptor):
        return [e for e in events if e.pid == who.pid and e.begin >= after and e.call in names
                and descriptor in (e.descriptor, None)]

    def served(take, connection):
        """recv, send and close of the process that serves."""
        close = calls(take, take.end, ("close",), connection)[0]
        recv = calls(take, take.end, ("recv", "read"), connection)[0]
        send = [e for e in calls(take, recv.end, ("send", "write"), connection) if e.end <= close.begin][-1]
        return recv, send, close

    try:
        if accept.pid in workers:
            recv, send, close = served(accept, accept.other)
            return Connection(accept, None, None, None, accept, recv, send, close, None)
        give = first(lambda e: e.pid == accept.pid and e.begin >= accept.end and e.result > 0
                     and (e.call == "fork" or e.call == "sendmsg" and e.socket == accept.socket
                          or e.call == "send" and accept.pid == acceptor))
        forked = give.call == "fork"
        take = first(lambda e: e.call == give.call and e.pid == give.result if forked
                     else e.call in ("recvmsg", "pidfd_getfd") and e.socket == accept.socket)
        # The child has the number of its parent, a worker has one of its own.
        connection = accept.other if forked else take.other

        drop = calls(accept, give.end, ("close",), accept.other)[0] if give.call != "send" else None
        recv, send, close = served(take, connection)
        if accept.pid == acceptor:
            return Connection(accept, give, drop, None, take, recv, send, close, None)
        if forked:
            leave = calls(take, close.end, ("exit",), None)[0]
            done = first(lambda e: e.pid == accept.pid and e.call == "waitpid" and e.result == take.pid)
        else:
            leave = calls(take, close.end, ("send", "write"), take.descriptor)[0]
            done = first(lambda e: e.pid == accept.pid and e.call in ("recv", "read")
                         and e.descriptor == give.descriptor and e.end >= leave.begin)
    except (StopIteration, IndexError):
        return None
    return Connection(accept, give, drop, done, take, recv, send, close, leave)


def connections(events, workers=(), acceptor=None):
    """All that were accepted, in this order; None for one that is not complete."""
    accepted = [e for e in events if e.call.startswith("accept") and e.result >= 0]
    # An acceptor waits in accept: as long as the shortest takes that is work, and before, waiting.
    work = min((e.end - e.begin for e in accepted if e.pid == acceptor), default=0)
    accepted = [e._replace(begin=e.end - work) if e.pid == acceptor else e for e in accepted]
    return [follow(e, events, workers, acceptor) for e in accepted]


def begin_of(burst):
    """When it begins: with the first accept; or, where a worker has waited in that, with its end."""
    first = burst[0]
    return first.accept.begin if first.give else first.accept.end


# ---- the picture: bars in rows ----

# What a process does has a kind: accept, fork, exit, hand-over, echo, close. "fork, under way" is the
# time from the call in the master until the process runs; likewise "hand-over, under way" and, until
# the master has noticed, "exit, under way". "waits" is the whole time that a process exists.
# PID and descriptor are those of the process.
Bar = collections.namedtuple("Bar", "row kind begin end connection process what pid descriptor")


def lanes(spans):
    """For each (begin, end), in the order of beginning, the lowest lane that is free then."""
    ends = []
    for begin, end in spans:
        lane = next((i for i, free_at in enumerate(ends) if free_at <= begin), len(ends))
        ends[lane:lane + 1] = [end]
        yield lane


def bars(burst, workers, first="master"):
    """The bars of a burst. Row 0 is that of the master or acceptor, called FIRST; then a row for
    each worker, the pids of a pool. Without them each connection has a child of its own, and the
    children that do not live at once share a row."""
    begin, end = begin_of(burst), max((c.done or c.close).end for c in burst)
    for row, pid in enumerate([burst[0].accept.pid, *workers]):
        yield Bar(row, "waits", begin, end, 0, f"worker {row}" if row else first, "exists", pid, -1)

    if workers:
        rows = [1 + workers.index(c.take.pid) for c in burst]
    else:
        rows = [1 + lane for lane in lanes((c.give.begin, c.done.end) for c in burst)]
    arrival, departure = ("hand-over", "hand-over") if workers else ("fork", "exit")

    for number, (c, row) in enumerate(zip(burst, rows), 1):
        def master(kind, event):
            return Bar(0, kind, event.begin, event.end, number, first, event.call,
                       c.accept.pid, c.accept.other)

        def process(kind, begin, end, what):
            name = f"worker {row}" if workers else f"child {number}"
            return Bar(row, kind, begin, end, number, name, what, c.take.pid, c.close.descriptor)

        if not c.give:  # in accept it has waited: what is drawn is from there until it reads
            yield process("accept", c.accept.end, c.recv.begin, "begins")
            yield process("echo", c.recv.begin, c.send.end, "recv, send")
            yield process("close", c.close.begin, c.close.end, "close")
            continue
        yield master("accept", c.accept)
        yield master(arrival, c.give)
        if c.drop:
            yield master("close", c.drop)
        if c.done:
            yield master(departure, c.done)
        if not workers:
            yield process("waits", c.give.begin, c.done.end, "exists")
        yield process(f"{arrival}, under way", c.give.begin, c.take.end, c.give.call)
        yield process(arrival, c.take.end, c.recv.begin, "begins")
        yield process("echo", c.recv.begin, c.send.end, "recv, send")
        yield process("close", c.close.begin, c.close.end, "close")
        if not c.leave:
            continue
        if workers:
            yield process(departure, c.leave.begin, c.leave.end, "report")
        else:
            yield process(f"{departure}, under way", c.leave.begin, c.done.end, "exit")


# ---- tracing ----

LIBRARY = paths.BUILD / "common/trace/trace.so"
ROOM = 1 << 22  # bytes, for about ten times as many events as come


def traced(command):
    """The command that runs this one with trace.so, and the memory into which that writes."""
    # Both files are named by descriptors of this process: a path may hold a space, which would
    # end it in LD_PRELOAD; and memory without a name leaves nothing behind.
    library, memory = os.open(LIBRARY, os.O_RDONLY), os.memfd_create("trace")
    os.ftruncate(memory, ROOM)
    own = f"/proc/{os.getpid()}/fd"
    return ["env", f"LD_PRELOAD={own}/{library}", f"TRACE_FILE={own}/{memory}", *command], mmap.mmap(memory, ROOM)


class Server:
    """A server that runs with trace.so."""

    def __init__(self, name, stack, workers=WORKERS):
        self.name = name
        command, self.trace = traced(registry.command(name))
        self.process, self.port = stack.enter_context(serving.running(command, workers))
        # Whom it has forked before the first client came, and who lives; in chapter 1 nobody.
        roles = chapters.roles(name.partition("-")[0])
        alive = {pid: program.called(pid) for pid in program.children(self.process.pid)}
        self.acceptor = next((pid for pid, called in alive.items() if called in roles.own), None)
        self.first = alive.get(self.acceptor, roles.first)
        born = [e.result for e in read(self.trace)
                if e.call == "fork" and e.pid == self.process.pid]
        self.workers = [pid for pid in born if pid in alive and pid != self.acceptor]
        self.bursts = []

    def load(self):
        """A burst. Gives what became of its connections, from accept to the last close."""
        before = count(self.trace)[0]
        # Not serving.load: that measures the server's CPU time at the end, and so takes the CPU from it.
        command = [str(paths.LOAD), "-p", str(self.port), "-c", str(CLIENTS), "-n", str(CONNECTIONS)]
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if result.returncode != 0:
            raise program.Failure(f"chapter {self.name}: {' '.join(result.stdout.split())}")
        # The clients have all they want, but the server may still be about to close.
        deadline = time.monotonic() + 30
        while True:
            time.sleep(0.005)
            burst = connections(read(self.trace, before), self.workers, self.acceptor)
            if len(burst) == CONNECTIONS and None not in burst:
                return burst
            lost = count(self.trace)[1]
            if lost or time.monotonic() > deadline:
                raise program.Failure(f"chapter {self.name}: the trace has {len(burst) - burst.count(None)} of "
                                      f"{CONNECTIONS} connections; {lost} events found no room in it")

    def quartile(self, which):
        """The burst than which so many quarters of the bursts are shorter."""
        return sorted(self.bursts, key=length)[which * len(self.bursts) // 4]

    def bars(self):
        """Those of the burst that is drawn, in the order of their beginning."""
        return sorted(bars(self.quartile(1), self.workers, self.first), key=lambda bar: bar.begin)

    def how(self):
        """How a connection finds its process."""
        return "each waits for a process to be made" if not self.workers else \
            "whoever is idle takes the next" if self.acceptor else \
            "the processes are there already"


def length(burst):
    """From the first accept to the last echo."""
    return max(c.send.end for c in burst) - begin_of(burst)


def trace(names):
    """Sends bursts of connections to these servers, in turn."""
    with contextlib.ExitStack() as stack:
        servers = [Server(name, stack) for name in names]
        progress = turns.Progress(WARM_UP + BURSTS)
        for number in range(WARM_UP + BURSTS):
            progress.step("warming up" if number < WARM_UP else f"burst {number - WARM_UP + 1} of {BURSTS}")
            for server in servers:
                burst = server.load()
                if number >= WARM_UP:
                    server.bursts.append(burst)
        progress.end()
    return servers


# ---- what comes out ----

# None where there is no such thing.
PHASES = [
    ("accept", lambda c: c.give and c.accept.end - c.accept.begin),
    ("the call that hands it on", lambda c: c.give and c.give.end - c.give.begin),
    ("from that call until the process runs", lambda c: c.give and c.take.end - c.give.begin),
    ("until it reads", lambda c: c.recv.begin - c.take.end),
    ("echo", lambda c: c.send.end - c.recv.begin),
    ("all of this: from accept to echo", lambda c: c.send.end - begin_of([c])),
    ("close", lambda c: c.close.end - c.close.begin),
    ("exit until reaped, or report until read", lambda c: c.done and c.done.end - c.leave.begin),
]


def show(name, servers):
    """Prints and keeps the table: of all bursts, not only of those that are drawn."""
    def median(server, phase):
        times = [phase(c) for burst in server.bursts for c in burst]
        return "-" if None in times else f"{stats.median(times) / 1e3:.1f}"

    def numbers(server):
        if not server.bursts[0][0].give:
            return "-"
        pairs = [f"{c.accept.other} -> {c.close.descriptor}" for burst in server.bursts for c in burst]
        return collections.Counter(pairs).most_common(1)[0][0]

    rows = [[what, *(median(server, phase) for server in servers)] for what, phase in PHASES]
    rows += [["descriptor: accepted as -> served as", *map(numbers, servers)]]
    notes = [f"Each row the median of {BURSTS * CONNECTIONS} connections: {BURSTS} bursts of {CONNECTIONS}, "
             f"{CLIENTS} clients, {WORKERS} workers. It is time that passed, waiting for a CPU included.",
             "A quarter of the bursts are shorter than the one in the picture; what else the machine does makes them "
             "longer."]
    if any(server.acceptor for server in servers):
        notes[0] += " Where accept waits for a client, it is as long as the shortest of a burst."
    if not servers[0].workers:
        notes[-1] += (f" In chapter {servers[0].name.lstrip('0')} a row holds one child after the other. "
                      "The trace itself makes a fork about a tenth slower.")
    results.show_table(
        name, "Where the time of a connection goes, in µs",
        ["", *(registry.label(server.name) for server in servers)],
        [row for row in rows if set(row[1:]) != {"-"}], notes)


def write_bars(path, servers):
    """What is drawn, a panel for each server. Gives when the last bar ends, in µs."""
    rows = []
    for panel, server in enumerate(servers):
        burst = server.quartile(1)
        for bar in server.bars():
            begin, end = ((ns - begin_of(burst)) / 1e3 for ns in (bar.begin, bar.end))
            rows.append([panel, *bar._replace(begin=f"{begin:.3f}", end=f"{end:.3f}"), server.name])
    columns = ["panel", *Bar._fields, "server"]
    results.write_table(path, [f"{c}_us" if c in ("begin", "end") else c for c in columns], rows)
    return max(float(row[columns.index("end")]) for row in rows)


# The letters for the kinds of bars, on the terminal.
LETTERS = {"accept": "A", "fork": "F", "exit": "X", "hand-over": "H", "echo": "E", "close": "C",
           "under way": "-", "waits": "."}


def kinds(servers):
    """What is to be seen of them, in the order of the letters."""
    seen = {bar.kind for server in servers for bar in server.bars()}
    seen |= {"under way" for kind in seen if kind.endswith("under way")}
    return [kind for kind in LETTERS if kind in seen]


def both_sides(servers):
    """What a hand-over is in whose row, where there are any."""
    handing = [c for server in servers if server.workers for c in server.quartile(1) if c.give]
    report, reports = (", or reads a report", ", or reports") if any(c.done for c in handing) else ("", "")
    return [f"H hand-over: the first row gives a connection away{report}; a worker takes it{reports}"] if handing else []


def text_bars(servers, last):
    """The picture as text: a line for each process, and one time axis, which ends at LAST ms."""
    margin, columns = 10, textplot.room() - 14
    lines = [f"{CONNECTIONS} connections, from the first accept until the last echo",
             textplot.legend(f"{LETTERS[kind]} {kind}" for kind in kinds(servers))]
    for server in servers:
        burst = server.quartile(1)
        start, rows = begin_of(burst), collections.defaultdict(list)
        for bar in server.bars():
            kind = "under way" if bar.kind.endswith("under way") else bar.kind
            span = (bar.begin - start) / 1e6, (bar.end - start) / 1e6
            rows[bar.row].append((LETTERS[kind], *span))
        title = f"{length(burst) / 1e6:.1f} ms  {registry.label(server.name)}: {server.how()}"
        lines += ["", terminal.wrapped(title, "  ")]
        for row, spans in sorted(rows.items()):
            who = server.first if row == 0 else f"worker {row}" if server.workers else "a child"
            strip = textplot.strip(spans, last, columns, LETTERS["waits"])
            lines.append(f"{who:>{margin}}  {strip}")
    tics = [(round(ms / last * columns), textplot.number(ms))
            for ms in textplot.scale(0, last, log=False) if ms <= last]
    lines += textplot.axis(margin + 1, columns, tics)
    explained = [f"ms since the first accept; each letter is {1000 * last / columns:.0f} µs, and says one of "
                 "the things done then", *both_sides(servers)]
    lines += [terminal.wrapped(text, " " * (margin + 2)) for text in explained]
    return "\n".join(lines)


def timeline(name, names):
    results.begin()
    servers = trace(names)
    path = paths.RESULTS / f"{name}.tsv"
    last = write_bars(path, servers)
    gnuplot.draw("timeline.gp", path, paths.RESULTS / name, height=600.0, letters=24, servers=" ".join(names),
                 last=last, kinds="|".join(kinds(servers)),
                 forking=" ".join("0" if server.workers else "1" for server in servers),
                 titles="|".join(map(registry.label, names)),
                 hows="|".join(server.how() for server in servers),
                 firsts="|".join(server.first for server in servers),
                 lengths=" ".join(f"{length(server.quartile(1)) / 1e6:.1f}" for server in servers),
                 connections=float(CONNECTIONS), processes=float(WORKERS))
    print(text_bars(servers, last / 1e3))
    show(name, servers)
    for server in servers:
        first, third = (length(server.quartile(which)) / 1e6 for which in (1, 3))
        if third > 2 * first:
            print("\n" + terminal.wrapped(
                f"The machine was noisy: of the bursts to chapter {server.name}, a quarter took "
                f"less than {first:.1f} ms, and a quarter more than {third:.1f} ms. Try again when "
                f"it is quiet: make {name}"))
    print(f"\nall bars:  {terminal.shown(path)}")
    print(f"picture:   {terminal.shown(paths.RESULTS / name)}.svg (and .png)")


def main():
    arguments = sys.argv[1:]
    if not arguments:
        timeline("timeline", list(map(registry.first, ("rest=0", "hand-over", "queue"))))
    elif len(arguments) == 1 and arguments[0] in registry.servers():
        timeline(f"timeline-{arguments[0]}", arguments)
    else:
        raise program.Failure(f"\"{' '.join(arguments)}\" has no server; say one of: {' '.join(registry.servers())}")


if __name__ == "__main__":
    program.main(main)
