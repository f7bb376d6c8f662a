#!/usr/bin/env python3
"""handover.py [--page] [--from RUN | --keep RUN] NN [OUT.html]: a hand-over, step by step.

Runs the program of chapter NN that hands descriptors over (or a server: 07-epoll), writes down what
it does (common/trace), and makes of that OUT.svg, a picture of the moment with most under way, and
OUT.html, a figure for a page: the same picture, the list of all steps, and what handover.js makes a
picture of that can be gone through. The page has to bring handover.css and handover.js; with
--page, OUT.html is a page that has both in it; so it is where no OUT is given, which is then among the
results. A run can be kept in a file, and taken from one.
"""
import argparse
import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / name) for name in ("report", "lab")]
import chapters  # noqa: E402
import paths  # noqa: E402
import program  # noqa: E402
import registry  # noqa: E402
import replay  # noqa: E402
import results  # noqa: E402
import scene  # noqa: E402
import tables  # noqa: E402
import terminal  # noqa: E402
import timeline  # noqa: E402

USAGE = "handover.py [--page] [--from RUN | --keep RUN] NN [OUT.html]"
WORKERS, CONNECTIONS = 3, 5  # more than can be served at once: some wait
TEXT = b"hello\n"


# ---- looking at processes ----


def held(pid):
    """What a process has open besides standard input, output and errors, as the kernel names it."""
    return {number: target for number, target in tables.descriptors(pid).items() if number > 2}


def look(processes):
    found = {name: held(pid) for name, pid in processes.items()}
    return {"time": time.monotonic_ns(), "tables": found}


def asleep(processes):
    """Whether all of them wait for something to do."""
    return all((program.look_at(pid) or "?")[0] == "S" for pid in processes.values())


# ---- a run, of which is written down what replay.py says ----


def begin(name, processes):
    """A run whose processes have what they have before the first event."""
    # Who has said that it is ready may still be about to close what it does not need.
    program.wait_until(lambda: asleep(processes), f"the beginning of {name}")
    what = {(who, number): text for who, number, text in tables.named(processes)}
    found = {who: {number: [what[who, number], target] for number, target in held(pid).items()}
             for who, pid in processes.items()}
    # A channel has one end with the workers, and the other one elsewhere.
    others = {f"socket:[{one}]": f"socket:[{other}]" for one, other in tables.unix_peers().items()}
    has = {who: {target for _, target in table.values()} for who, table in found.items()}
    all_there = set().union(*has.values())
    ends = sorted({target for who in has if who.startswith("worker") for target in has[who]})
    pairs = [(others[end], end) for end in ends if others.get(end) in all_there]
    return {"chapter": name, "title": registry.label(name), "processes": processes,
            "tables": found, "pairs": pairs, "events": [], "looks": []}


class Clients:
    """Their calls, which are events as well: all have one clock."""

    def __init__(self, port):
        self.port, self.events, self.sockets = port, [], {}

    def _call(self, number, name, function, *arguments):
        begun = time.monotonic_ns()
        result = function(*arguments) or 0
        event = replay.Event(begun, time.monotonic_ns(), 0, 0, number, -1, result, 0, name)
        self.events.append(list(event))

    def open(self, number):
        self.sockets[number] = client = socket.socket()
        self._call(number, "connect", client.connect, ("127.0.0.1", self.port))
        self._call(number, "send", client.send, TEXT)

    def close(self, number):
        client = self.sockets.pop(number)
        echo = client.recv(len(TEXT), socket.MSG_WAITALL)  # unread, the server would find a reset
        if echo != TEXT:
            raise program.Failure(f"client {number} has {echo} for its echo")
        self._call(number, "close", client.close)


def settled(state, clients, reports):
    """Whether all that the clients have done has had its effect, and nothing changes by itself."""
    there = [f"c{number}" for number in sorted(clients)]
    held_by = {who: {thing for thing in table.values() if thing.startswith("c")}
               for who, table in state.tables.items()}
    served = set().union(*(held_by[who] for who in state.servers))
    others = set().union(*(held_by[who] for who in held_by.keys() - state.servers))
    unread = [message for queue in state.queues.values() for message in queue if not message.thing]
    # Who hands over leaves the rest in the backlog, and hears of who is idle. A queue takes it in.
    rest = not state.owes if reports else not set(there) & set(state.backlog)
    return served == set(there[:WORKERS]) <= state.spoken and not others and not unread and rest


def of_server(name):
    """Clients come one by one, until there are more than the workers serve; then they go."""
    roles = chapters.roles(name.partition("-")[0])
    reports = "hand-over" in registry.servers()[name].can
    with contextlib.ExitStack() as stack:
        server = timeline.Server(name, stack, WORKERS)
        processes = {roles.first: server.process.pid}
        processes |= {roles.other.format(i): pid for i, pid in enumerate(server.workers, 1)}
        processes |= {server.first: server.acceptor} if server.acceptor else {}
        run = begin(name, processes)
        first = timeline.count(server.trace)[0]
        clients = Clients(server.port)

        def is_settled():
            if not asleep(processes):
                return False
            events = [*map(list, timeline.read(server.trace, first)), *clients.events]
            run["events"] = sorted(events)
            with contextlib.suppress(replay.Incomplete):  # a call is being written down
                state = replay.after(run, time.monotonic_ns())
                return settled(state, clients.sockets, reports)
            return False

        for act in clients.open, clients.close:
            for number in range(1, CONNECTIONS + 1):
                act(number)
                program.wait_until(is_settled, f"what client {number} has begun, and its end,")
                run["looks"].append(look(processes))
    return run


def of_program(number, command, meanwhile=lambda pid: []):
    """A program that needs no clients, from its channel on to its end. MEANWHILE is called with its
    pid when it runs, and gives looks."""
    roles, title = chapters.roles(number), pathlib.Path(command[0]).name
    command, trace = timeline.traced(command)
    with program.started(command, stdout=subprocess.DEVNULL) as process:
        looks = meanwhile(process.pid)
        if process.wait() != 0:
            raise program.Failure(f"{title} ended with status {process.returncode}")
    events = timeline.read(trace)
    channel = next((i for i, event in enumerate(events) if event.call == "socketpair"), len(events))
    children = [event.result for event in events if event.call == "fork" and event.result > 0]
    processes = {roles.first: process.pid}
    processes |= {roles.other.format(i): pid for i, pid in enumerate(children, 1)}
    return {"chapter": number, "title": f"{number.lstrip('0')} {title}", "processes": processes,
            "tables": {roles.first: {}}, "pairs": [], "events": list(map(list, events[channel:])),
            "looks": looks}


def record(name):
    """A run of what hands over in this chapter, or of this server; as if read from a file."""
    if name in registry.servers():
        can = registry.servers()[name].can
        passes = "hand-over" in can or "queue" in can and "numbers" not in can
        run = of_server(name) if passes else None
    else:
        command = chapters.said(name, "TRACED", "program that hands over")
        run = of_program(name, list(map(str, command)))
        events = [replay.Event(*event) for event in run["events"]]
        passes = any(event.call == "sendmsg" and event.other != -1 for event in events)
    if not passes:
        raise program.Failure(f"{name} hands no descriptors over")
    system = f"{os.uname().sysname} {'.'.join(os.uname().release.split('.')[:2])}"
    return json.loads(json.dumps(run | {"system": system}))


def kept(path, name):
    """A run that was kept."""
    try:
        run = json.loads(path.read_text())
        chapter = run["chapter"]
    except (ValueError, TypeError, KeyError):
        raise program.Failure(f"{path} is no run that was kept") from None
    if chapter != name:
        raise program.Failure(f"{path} is a run of {chapter}, not of {name}")
    return run


def main():
    parser = argparse.ArgumentParser(usage=USAGE, add_help=False)
    parser.add_argument("--page", action="store_true")
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--from", dest="source", type=pathlib.Path)
    either.add_argument("--keep", type=pathlib.Path)
    parser.add_argument("name", metavar="NN")
    parser.add_argument("out", metavar="OUT.html", type=pathlib.Path, nargs="?")
    asked = parser.parse_args()
    out = asked.out or paths.RESULTS / f"hand-over-{asked.name}.html"
    run = kept(asked.source, asked.name) if asked.source else record(asked.name)
    try:
        picture, text = scene.picture(run), (scene.page if asked.page or not asked.out else scene.fragment)(run)
    except replay.Incomplete as lacks:
        raise program.Failure(f"the trace is not whole: {lacks}") from None
    if asked.keep:
        asked.keep.write_text(json.dumps(run) + "\n")
    if not asked.out:
        results.begin()
    out.with_suffix(".svg").write_text(picture)
    out.write_text(text)
    if not asked.out:
        print(f"step by step, in a browser: {terminal.shown(out)}")
        print("the arrow keys go forwards and back, the space bar plays")


if __name__ == "__main__":
    program.main(main)
