"""Who holds which descriptor, call by call: the trace of a hand-over, replayed.

A run is a dictionary, as JSON has it:

    chapter, title   "04", and what tables call its server
    system           on which it ran
    processes        {"master": pid, ...}; who is forked on the way, too
    pairs            of sockets that are the ends of a channel, as the kernel names them; the end of
                     who gives comes first
    tables           {"master": {"4": [what it is, as the kernel names it]}, ...}, of those who are
                     there before the first event
    events           as in common/trace/trace.h; those of the clients have pid 0, and the number of
                     the connection in place of a descriptor
    looks            at /proc, between the events: {"time": ns, "tables": {"master": {"4": ...}}}

What is held later does not stand in it: that is what the calls do.

Here, what a descriptor names is a word: "listener", "c1" a connection, "q1a" and "q1b" the ends of
a channel (a of who gives, b of who takes), "file", "socket 1", and "other ..." for the rest.
"""
import collections
import copy

Event = collections.namedtuple("Event", "begin end socket pid descriptor other result error call")

# So many bytes in a channel, what travels with them (or None), and which socket that is.
Message = collections.namedtuple("Message", "size thing socket")

# A call: by whom, as C has it, what it did. hot are the descriptors in it, (process, number) each.
# flight is (from, to, what): what moved, between places as State.places has them, or the network.
Step = collections.namedtuple("Step", "who call say hot flight", defaults=((), None))

# What others can see as soon as it has begun, though it returns later; all else, when it returns.
GIVING = {"connect", "send", "write", "sendmsg", "close", "exit", "fork", "socketpair", "listen"}
READING = {"recv", "read"}
OPENING = {"socket", "memfd", "open"}
HIDDEN = {"select"}  # it changes nothing


class Incomplete(Exception):
    """The trace lacks a call that must have been."""


def in_order(events):
    """As one could have led to the next: a giver has begun before the taker returns."""
    return sorted(events, key=lambda e: e.begin if e.call in GIVING else e.end)


def plural(number, word):
    return f"{number} {word}{'' if number == 1 else 's'}"


def the(name):
    """A process, in a sentence: there is one master, but there are several workers."""
    return name if name[-1].isdecimal() else f"the {name}"


def upper(sentence):
    return sentence[:1].upper() + sentence[1:]


def called(event, arguments="", result=None):
    """A call, as C has it."""
    name = {"memfd": "memfd_create", "exit": "_exit"}.get(event.call, event.call)
    first = "" if event.descriptor == -1 else f"{event.descriptor}"
    return f"{name}({first}{arguments}) = {event.result if result is None else result}"


class State:
    """Processes, what they hold, and what is under way."""

    def __init__(self, run):
        self.names = {pid: name for name, pid in run["processes"].items()}
        self.tables = {name: {} for name in run["tables"]}
        self.queues = {}  # by end of a channel: the messages that can be read there
        self.backlog = []
        self.offset = 0  # of the file
        self.opened = 0  # connections
        self.spoken = set()  # connections that have had an echo
        self.owes = set()  # workers that have closed their connection, and not been heard of since
        self.channels = self.sockets = 0
        ends = {}
        for pair in run["pairs"]:
            ends |= dict(zip(pair, self._channel()))
        for name, table in run["tables"].items():
            for number, (what, target) in table.items():
                is_listener = what.startswith("listener")
                thing = "listener" if is_listener else ends.get(target, f"other {target}")
                self.tables[name][int(number)] = thing
        self.servers = {name for name in self.tables if name.startswith("worker")}

    def _channel(self):
        self.channels += 1
        ends = f"q{self.channels}a", f"q{self.channels}b"
        self.queues |= {end: [] for end in ends}
        return ends

    # ---- asking ----

    def holders(self, thing):
        """The processes with a descriptor for it."""
        return [name for name, table in self.tables.items() if thing in table.values()]

    def flying(self):
        """What is in messages."""
        return [m.thing for queue in self.queues.values() for m in queue if m.thing]

    def things(self):
        """All that a descriptor names, or a message."""
        held = {thing for table in self.tables.values() for thing in table.values()}
        return held | set(self.flying())

    def places(self):
        """What can be seen: names of places, each with what is there."""
        found = {f"{name}.{number}": thing for name, table in self.tables.items()
                 for number, thing in table.items() if not thing.startswith("other")}
        for end, queue in self.queues.items():
            found |= {f"{end}[{i}]": m.thing or str(m.size) for i, m in enumerate(queue)}
        return found | {f"backlog[{i}]": thing for i, thing in enumerate(self.backlog)}

    def told(self):
        """The same in words, for who does not see the picture."""
        lines = []
        for name, table in self.tables.items():
            held = [f"{number} {self._the(thing).removeprefix('the ')}"
                    for number, thing in sorted(table.items()) if not thing.startswith("other")]
            lines.append(f"{name} holds {', '.join(held) or 'nothing'}")
        for end, queue in self.queues.items():
            for message in queue:
                takes = f" and a descriptor for {self._the(message.thing)}" if message.thing else ""
                lines.append(f"in {self._the(end)}: {plural(message.size, 'byte')}{takes}")
        if self.backlog:
            lines.append(f"in the backlog: {', '.join(map(self._the, self.backlog))}")
        return "; ".join(lines) + "."

    def _the(self, thing):
        """What a sentence calls it; either end of a channel by the channel."""
        if thing.startswith("c"):
            return f"connection {thing[1:]}"
        if thing.startswith("q") and self.channels > 1:
            return f"the channel of {self._worker(thing)}"
        if thing.startswith("q"):
            return "the queue" if self.servers else "the channel"
        return "the client's socket" if thing.startswith("socket") else f"the {thing}"

    def _worker(self, end):
        """Whose channel it is."""
        return next((name for name in self.servers
                     if end[:-1] + "b" in self.tables[name].values()), None)

    # ---- what a call does ----

    def apply(self, event):
        """Does what the call did. Gives its step; None where it changed nothing that is shown."""
        if event.pid == 0:
            return self._client(event)
        name = self.names.get(event.pid)
        if name not in self.tables or event.result == -1 or event.call in HIDDEN:
            return None
        table = self.tables[name]
        if event.call in ("fork", "exit", "waitpid", "socketpair"):
            return getattr(self, f"_{event.call}")(name, table, event)
        if event.call in OPENING:
            return self._open(name, table, event)
        thing = table.get(event.descriptor)
        if thing is None:
            raise Incomplete(f"{name}: {event.call}({event.descriptor}): nobody has opened that")
        if event.call == "close":
            return self._close(name, table, event)
        if event.call.startswith("accept"):
            return self._accept(name, table, event)
        if event.call in ("listen", "connect"):
            return self._network(name, table, event)
        if not thing.startswith("q"):
            return self._transfer(name, event, thing)
        if event.call in GIVING:
            return self._give(name, table, event, thing)
        return self._take(name, table, event, thing)

    def _client(self, event):
        thing, who = f"c{event.descriptor}", f"client {event.descriptor}"
        event = event._replace(descriptor=-1)
        if event.call == "connect":
            serving = {w for w in self.servers for t in self.tables[w].values() if t[0] == "c"}
            # An acceptor accepts whoever is busy.
            busy = ": every worker is busy" if serving == self.servers and "acceptor" not in self.tables else ""
            say = f"It is connected, and waits in the listener's backlog{busy}."
            return Step(who, called(event), say, flight=self._enter(thing))
        if event.call == "send":
            say = f"{plural(event.result, 'byte')} for the server."
            if thing in self.backlog:
                say += " They wait in the connection, before any process has it."
            return Step(who, called(event), say)
        return Step(who, called(event), "Whoever reads from the connection will find its end.")

    def _enter(self, thing):
        """A connection comes into the backlog."""
        self.opened += 1
        self.backlog.append(thing)
        return "network", f"backlog[{len(self.backlog) - 1}]", thing

    def _network(self, name, table, event):
        if event.call == "listen":
            table[event.descriptor], flight = "listener", None
            say = "Now it is a listener, with a backlog for clients that nobody has accepted."
        else:
            flight = self._enter(f"c{self.opened + 1}")
            say = "A connection of this process with itself waits in the listener's backlog."
        return Step(name, called(event), say, [(name, event.descriptor)], flight)

    def _accept(self, name, table, event):
        if not self.backlog:
            raise Incomplete("a connection is accepted that nobody has made")
        thing, number = self.backlog.pop(0), event.result
        table[number] = thing
        what = upper(self._the(thing))
        say = f"{what} leaves the backlog: it is descriptor {number} of {the(name)}."
        return Step(name, called(event), say, [(name, event.descriptor), (name, number)],
                    ("backlog[0]", f"{name}.{number}", thing))

    def _open(self, name, table, event):
        if event.call == "socket":
            self.sockets += 1
            table[event.other] = f"socket {self.sockets}"
            say = "A socket, for now without an address."
        else:
            table[event.other] = "file"
            say = "An open file description, and a descriptor that names it."
        return Step(name, called(event), say, [(name, event.other)])

    def _socketpair(self, name, table, event):
        ends = event.descriptor, event.other
        table |= zip(ends, self._channel())
        call = f"socketpair() = {{{ends[0]}, {ends[1]}}}"
        return Step(name, call, "A channel: two descriptors, one for each end.",
                    [(name, number) for number in ends])

    def _give(self, name, table, event, end):
        other = end[:-1] + ("b" if end.endswith("a") else "a")
        number, bytes_ = event.other, plural(event.result, "byte")
        thing = table.get(number)
        if number != -1 and thing is None:
            raise Incomplete(f"{name}: sendmsg sends {number}, which nobody has opened")
        self.queues[other].append(Message(event.result, thing, event.socket))
        to = f"{other}[{len(self.queues[other]) - 1}]"
        hot = [(name, event.descriptor)]
        if thing:
            what = self._the(thing)
            say = f"The message takes along a reference to {what}, not the number {number}."
            return Step(name, called(event, f", {bytes_} + descriptor {number}"), say,
                        hot + [(name, number)], (f"{name}.{number}", to, thing))
        what = "it says \u201cI am idle\u201d" if name in self.servers else "an answer"
        return Step(name, called(event), f"{bytes_} into {self._the(end)}: {what}.", hot,
                    (f"{name}.{event.descriptor}", to, str(event.result)))

    def _take(self, name, table, event, end):
        queue, number, hot = self.queues[end], event.other, [(name, event.descriptor)]
        if event.result == 0:
            say = f"End-of-file: nobody has the other end of {self._the(end)} any more."
            return Step(name, called(event), say, hot)
        # Of a queue that several read, another one's message may have been the first.
        brings = number != -1
        at = next((i for i, message in enumerate(queue) if bool(message.thing) == brings
                   and (not brings or message.socket == event.socket)), None)
        if at is None or queue[at].size != event.result:
            raise Incomplete(f"{name}: {event.call} takes what nobody has sent")
        thing, source = queue.pop(at).thing, f"{end}[{at}]"
        if not brings:
            sender = self._worker(end)
            self.owes.discard(sender)
            say = f"{upper(sender)} is idle again." if sender else "The other side is done with it."
            return Step(name, called(event), say, hot,
                        (source, f"{name}.{event.descriptor}", str(event.result)))
        also = self.holders(thing)
        table[number] = thing
        say = f"The kernel gives {self._the(thing)} the lowest number that is free here: {number}."
        if also:
            say += f" For a moment two processes have it: {the(also[0])} still does."
        return Step(name, f"{called(event)}, with descriptor {number}", say,
                    hot + [(name, number)], (source, f"{name}.{number}", thing))

    def _close(self, name, table, event):
        thing = table.pop(event.descriptor)
        left, what = self.holders(thing), self._the(thing)
        is_end = thing.startswith("q")
        if thing.startswith("c") and name in self.servers:
            self.owes.add(name)
        if left and is_end:
            say = f"{upper(the(left[0]))} still has this end of {what}."
        elif left:
            say = f"{upper(the(left[0]))} has a descriptor of its own: {what} stays open."
        elif thing in self.flying():
            say = f"Now no process has {what}: the message alone keeps it open."
        elif thing.startswith("c"):
            say = f"This was the last descriptor for {what}: the kernel ends it."
        else:
            say = f"Nobody else has {'this end of ' if is_end else ''}{what}: it is gone."
        return Step(name, called(event), say, [(name, event.descriptor)])

    def _transfer(self, name, event, thing):
        """Bytes from or to a file, or a connection."""
        bytes_, what = plural(event.result, "byte"), self._the(thing)
        if event.call == "lseek":
            self.offset = event.result
            say = f"The offset is {self.offset}: it is that of the description, and so of all."
        elif thing == "file":
            self.offset += event.result
            way = "from" if event.call in READING else "into"
            say = f"{bytes_} {way} the file: its offset is now {self.offset}."
        elif event.call in READING:
            say = f"{bytes_} from {what}." if event.result else \
                f"End-of-file on {what}: the client has closed."
        elif thing.startswith("c"):
            self.spoken.add(thing)
            say = f"{bytes_} to the client."
        else:
            say = f"{bytes_} for whoever gets connection {self.opened}."
        return Step(name, called(event), say, [(name, event.descriptor)])

    # ---- processes ----

    def _fork(self, name, table, event):
        child = self.names.get(event.result)
        if child is None:  # the event of the child itself, or one without a part in this
            return None
        self.tables[child] = dict(table)
        say = f"{upper(the(child))} has a copy of the table: the same numbers, for the same ends."
        return Step(name, called(event), say, [(child, number) for number in table])

    def _exit(self, name, _table, event):
        del self.tables[name]
        return Step(name, f"_exit({event.result})", "With a process go its descriptors.")

    def _waitpid(self, name, _table, event):
        return Step(name, called(event), f"{upper(the(self.names[event.result]))} has ended.")


def steps(run):
    """Pairs (step, state after it), of all calls of a run that are shown."""
    state, found = State(run), []
    for event in in_order(Event(*each) for each in run["events"]):
        step = state.apply(event)
        if step:
            found.append((step, copy.deepcopy(state)))
    return found


def after(run, time):
    """The state at a time between two events."""
    state = State(run)
    for event in in_order(Event(*each) for each in run["events"] if each[1] < time):
        state.apply(event)
    return state


def telling(run):
    """The number of the step with most under way: the one to show where only one can be."""
    found = steps(run)

    def rank(number):
        state = found[number][1]
        alone = [thing for thing in state.flying() if not state.holders(thing)]
        return len(state.flying()), len(state.backlog), len(alone), len(state.things()), -number

    return max(range(len(found)), key=rank)
