#!/usr/bin/env python3
"""live.py NAME [SECONDS]: a server at work, as it is now, drawn anew twice a second until Ctrl-C.

NAME is a chapter, or one of its servers: 04, 04-onefile, 05-python. What is shown stands where
everybody can look: states, CPU time and descriptors in /proc, the backlog and a queue in ss, and
who is given how many connections in the server's own log.
"""
import collections
import contextlib
import fcntl
import functools
import itertools
import os
import pathlib
import re
import selectors
import signal
import socket
import subprocess
import sys
import termios
import time
import tty

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "report"))
import chapters
import paths
import program
import registry
import serving
import tables
import terminal

WORKERS, CLIENTS = 4, 4
PAUSE_MS = 20  # of a client between two connections: a rate that can be watched
PERIOD = 0.5
ENDED = 0  # the pid of those that have
STATES = {"R": "runs", "S": "waits", "D": "waits (disk)", "I": "waits", "T": "stopped", "t": "traced",
          "Z": "dead, not reaped", "X": "dead"}
KEYS = {
    "k": "kill a process that serves (SIGKILL)",
    "z": "stop one (SIGSTOP); again: let it go on",
    "a": "kill the {}",  # where one serves nobody
    "s l": "one more client that connects and is silent; let them all leave",
    "+ -": "one more client of the load; one less",
    "q": "end; so does Ctrl-C",
}

# Its CPU time is in ticks, that of those that it has waited for beside its own.
Process = collections.namedtuple("Process", "pid called state ticks reaped_ticks")


def look_at(pid):
    """A process, or None if it has gone."""
    fields = program.look_at(pid)
    return fields and Process(pid, program.called(pid), fields[0], sum(map(int, fields[11:13])),
                              sum(map(int, fields[13:15])))


@functools.cache
def message_size():
    """What the kernel counts for a message of a few bytes that nobody has received yet."""
    first, second = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with first, second:
        first.send(b"\0")
        return int.from_bytes(fcntl.ioctl(first, termios.TIOCOUTQ, bytes(4)), sys.byteorder)


class Server:
    """The server, and what is to be seen of it."""

    def __init__(self, name, process, port):
        self.process, self.port, self.log = process, port, process.stderr.fileno()
        self.roles = chapters.roles(name.partition("-")[0])
        self.rest, self.said = b"", collections.deque(maxlen=3)  # of the log
        self.queued = 0  # how many have gone into a queue, where there is one
        self.served = collections.Counter()  # by pid, of those that live
        self.ended, self.by_ended = 0, 0  # how many have ended, and what they had served
        self.gone = collections.deque(maxlen=100)  # those that have ended last
        self.numbers = {}  # by pid, how it is called
        self.looked, self.given, self.ticks = time.monotonic(), 0, {}  # at the last look
        os.set_blocking(self.log, False)

    def read_log(self):
        """Reads what there is. Returns False at the end of it."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self.log, 65536):
                *lines, self.rest = (self.rest + data).split(b"\n")
                for line in lines:
                    self.hear(line.decode(errors="replace"))
            return False
        return True

    def hear(self, line):
        if re.search(r"descriptor \d+ goes into the queue$", line):
            self.queued += 1
        elif given := re.search(r"descriptor \d+ goes to (?:worker|child) (\d+)$|"
                                r"worker (\d+) (?:accepts|takes) descriptor \d+$", line):
            who = int(given[1] or given[2])
            if who in self.gone:  # who is counted among the ended already
                self.by_ended += 1
            else:
                self.served[who] += 1
        else:
            self.said.append(f"{time.strftime('%H:%M:%S')}  {line}")

    def processes(self):
        """The first, and its descendants: who serves nobody, then the others by number."""
        found = [look_at(pid) for pid in program.descendants(self.process.pid)]
        others = {process.pid: process for process in found if process}
        serve = {pid for pid, process in others.items() if process.called not in self.roles.own}
        self.numbers = {pid: number for pid, number in self.numbers.items() if pid in serve}
        for pid in sorted(serve - self.numbers.keys()):  # the lowest that is free
            self.numbers[pid] = next(i for i in itertools.count(1) if i not in self.numbers.values())
        first = look_at(self.process.pid)
        found = sorted(others.values(), key=lambda one: self.numbers.get(one.pid, 0))
        return [first, *found] if first else found

    def name(self, process):
        if process.pid == self.process.pid:
            return self.roles.first
        if process.pid in self.numbers:
            return self.roles.other.format(self.numbers[process.pid])
        return process.called

    def keys(self):
        """What each key is for."""
        return {key: meaning.format(*self.roles.own) for key, meaning in KEYS.items()
                if "{" not in meaning or self.roles.own}

    def backlog(self):
        """How many connections wait to be accepted, and how many may."""
        listing = subprocess.run(["ss", "-ltnH", f"sport = :{self.port}"],
                                 stdout=subprocess.PIPE, text=True, check=False).stdout
        listeners = [line.split() for line in listing.splitlines()]  # of some servers each worker has one
        if not listeners:
            return "-", "-"
        return tuple(sum(int(listener[column]) for listener in listeners) for column in (1, 2))

    def in_queue(self, processes):
        """How many connections are in the queue, which is filled by who serves nobody; or None.

        The kernel counts a message, of one byte or of some, as what it takes up, for its sender.
        """
        held = [target for process in processes if process.called in self.roles.own
                for target in tables.descriptors(process.pid).values()]
        inodes = {target[len("socket:["):-1] for target in held if target.startswith("socket:[")}
        if not inodes:
            return None
        listing = subprocess.run(["ss", "-xanH"],
                                 stdout=subprocess.PIPE, text=True, check=False).stdout
        found = re.findall(r"^u_seq +\S+ +\d+ +(\d+) +\S+ +(\d+) ", listing, re.M)
        sent = [int(unread) for unread, inode in found if inode in inodes]
        return sum(sent) // message_size() if sent else None

    def look(self, silent):
        """What it does as a whole, and a row for each process."""
        self.read_log()  # first: who has ended is not spoken of later
        processes = self.processes()
        sockets = tables.tcp_sockets(self.process.pid)
        now = time.monotonic()
        passed, self.looked = now - self.looked, now
        before, self.ticks = self.ticks, {}

        def percent(who, ticks):
            self.ticks[who] = ticks
            return f"{100 * (ticks - before.get(who, ticks)) / os.sysconf('SC_CLK_TCK') / passed:.0f} %"

        def held(descriptors):
            what = [sockets.get(target[len("socket:["):-1], "") for target in descriptors.values()]
            ports = [int(text.rpartition(":")[2]) for text in what if text.startswith("connection")]
            quiet = sum(port in silent for port in ports)
            counts = {"at work": len(ports) - quiet, "silent": quiet}
            return ", ".join(f"{number} {word}" for word, number in counts.items() if number)

        served = self.by_ended + sum(self.served.values())
        given = self.queued or served
        # Where workers are programs nobody may say who takes what from the queue.
        known = served or not self.queued
        seen = self.served.keys() | before.keys()
        gone = seen - {process.pid for process in processes} - {self.process.pid, ENDED}
        self.ended += len(gone)
        self.gone.extend(gone)
        self.by_ended += sum(self.served.pop(pid, 0) for pid in gone)
        rows = []
        for process in processes:
            descriptors = tables.descriptors(process.pid)
            first = process.pid == self.process.pid
            serves = known and process.pid in self.numbers
            rows.append((self.name(process), process.pid,
                         STATES.get(process.state, process.state), percent(process.pid, process.ticks),
                         len(descriptors) or "", f"{self.served[process.pid]:,}" if serves else "",
                         held(descriptors)))
            if first and self.ended:
                reaped = percent(ENDED, process.reaped_ticks)
                by_ended = f"{self.by_ended:,}" if known else ""
                ended = f"{self.ended:,} ended", "", "", reaped, "", by_ended, ""
        if self.ended and processes:
            rows.append(ended)
        rate, self.given = (given - self.given) / passed, given
        waiting, room = self.backlog()
        queue = self.in_queue(processes)
        where = f"in the backlog: {waiting} of {room}" if queue is None else \
            f"backlog: {waiting} of {room}, queue: {queue}"
        return f"{rate:,.0f} connections a second, {given:,} so far; {where}", rows


class Load:
    """Clients: each of the load is a process, that can be ended alone; the silent ones are sockets of ours."""

    def __init__(self, port):
        self.port, self.busy, self.silent = port, [], []

    def more(self):
        command = [paths.LOAD, "-T", "-p", self.port, "-c", 1, "-w", PAUSE_MS, "-n", 100000000, "-d", 3600]
        self.busy.append(subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def less(self):
        if self.busy:
            program.end(self.busy.pop())

    def renew(self):
        """Those that have come to their end, after an hour, begin again."""
        for process in [process for process in self.busy if process.poll() is not None]:
            self.busy.remove(process)
            self.more()

    def one_more_silent(self):
        connection = socket.socket()
        connection.setblocking(False)
        connection.connect_ex(("127.0.0.1", self.port))
        self.silent.append(connection)

    def let_go(self):
        for connection in self.silent:
            connection.close()
        self.silent.clear()

    def ports(self):
        return {connection.getsockname()[1] for connection in self.silent}


def page(title, server, load, keys):
    """The lines of what is to be seen now; none is longer than the terminal is wide."""
    columns, height = terminal.width(), os.get_terminal_size(1).lines if os.isatty(1) else 1000
    status, rows = server.look(load.ports())
    head = [title, f"load: {len(load.busy)} clients, and {len(load.silent)} silent", status, ""]
    meanings = server.keys()
    said_long = [f"  {key:<3}  {meaning}" for key, meaning in meanings.items()]
    foot = ["", *(said_long if height >= 24 else [" ".join(meanings)])] if keys else [""]
    foot += [f"or in a second terminal: kill PID; nc 127.0.0.1 {server.port}"] if keys else []
    said = [f"  {line}" for line in server.said]
    layout = "{:<11}{:>8}  {:<17}{:>6}{:>13}{:>9}  {}".format
    room = max(height - len(head) - len(foot) - len(said) - 3, 2)
    shown = [layout(*row).rstrip() for row in rows[:room]]
    if len(rows) > room:
        shown.append(f"and {len(rows) - room} more")
    table = layout("process", "pid", "state", "CPU", "descriptors", "served", "connection").rstrip()
    return [line[:columns] for line in [*head, table, *shown, *(["", *said] if said else []), *foot]]


@contextlib.contextmanager
def own_screen():
    """A screen of its own, and keys that are read as they are pressed; given back at the end, whatever comes.

    Ctrl-C is a key, too: as a signal it would reach the server, the load and make, all at once.
    """
    before = termios.tcgetattr(0)
    tty.setraw(0)
    print("\033[?1049h\033[?25l", end="", flush=True)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
        print("\033[?25h\033[?1049l", end="", flush=True)


def draw(lines, screen):
    if screen:  # over what is there: cleared first, it would flicker
        print("\033[H" + "".join(f"{line}\033[K\r\n" for line in lines[:-1]) + f"{lines[-1]}\033[J", end="", flush=True)
    else:
        print(*lines, sep="\n", end="\n\n", flush=True)


def press(key, server, load):
    """Does what a key is for. Returns False at the end."""
    others = [process for process in server.processes() if process.pid != server.process.pid]
    serving_ones = [process for process in others if process.called not in server.roles.own]
    no_server = [process for process in others if process.called in server.roles.own]
    stopped = [process for process in serving_ones if process.state == "T"]
    with contextlib.suppress(ProcessLookupError):
        if key == "k" and serving_ones:
            os.kill(serving_ones[0].pid, signal.SIGKILL)
        elif key == "z" and stopped:
            os.kill(stopped[0].pid, signal.SIGCONT)
        elif key == "z" and serving_ones:
            os.kill(serving_ones[0].pid, signal.SIGSTOP)
        elif key == "a" and no_server:
            os.kill(no_server[0].pid, signal.SIGKILL)
    if key == "s":
        load.one_more_silent()
    elif key == "l":
        load.let_go()
    elif key == "+":
        load.more()
    elif key == "-":
        load.less()
    return key not in "q\3"


def watch(title, server, load, seconds):
    """Until the end that somebody wants, or the server's. Gives the last page."""
    screen = os.isatty(0) and os.isatty(1)
    end = time.monotonic() + seconds
    lines, goes_on = [], True
    with contextlib.ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        selector.register(server.log, selectors.EVENT_READ)
        if screen:
            stack.enter_context(own_screen())
            selector.register(0, selectors.EVENT_READ)
        drawn = time.monotonic()
        while goes_on and server.process.poll() is None and time.monotonic() < end:
            program.go_on()
            for key, _ in selector.select(max(drawn + PERIOD - time.monotonic(), 0)):
                if key.fileobj == 0:
                    pressed = os.read(0, 100).decode(errors="replace") or "q"  # at its end: the terminal has gone
                    goes_on = all([press(letter, server, load) for letter in pressed])
                elif not server.read_log():
                    selector.unregister(server.log)
            if time.monotonic() >= drawn + PERIOD:
                drawn += PERIOD
                load.renew()
                lines = page(title, server, load, screen)
                draw(lines, screen)
    return lines if screen else []  # else all are there already


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: live.py NAME [SECONDS]")
    name, seconds = sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else "inf"
    if seconds != "inf" and not re.fullmatch(r"\d+(\.\d+)?", seconds):
        raise program.Failure(f"\"{seconds}\" is no number of seconds")
    known = registry.servers()
    if name not in known:
        raise program.Failure(f"no server is called \"{name}\"; say one of: {' '.join(known)}")
    command = [*registry.command(name), "-v"]
    with serving.running(command, WORKERS, stderr=subprocess.PIPE) as (process, port):
        server, load = Server(name, process, port), Load(port)
        for _ in range(CLIENTS):
            load.more()
        title = f"{known[name].label}, on 127.0.0.1:{port}"
        try:
            for line in watch(title, server, load, float(seconds)):  # on the screen that was there before
                print(line)
        finally:
            load.let_go()
            while load.busy:
                load.less()


if __name__ == "__main__":
    program.main(main)
