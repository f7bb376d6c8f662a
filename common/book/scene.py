"""The picture of a hand-over: as SVG, and for a page with all steps, for handover.js to go through.

From top to bottom: the network, with the listener and its backlog; who gives; channels; what
travels through them; who takes. A process is a box, its cells are its table of descriptors. A line
leads from a cell to what the descriptor names. All that ever stands in the picture is drawn, each
thing with a key: a step is the set of keys that are seen then. It is drawn twice, for wide pages
and for narrow ones.
"""
import collections
import html
import itertools
import json
import pathlib
import re

import replay

HERE = pathlib.Path(__file__).resolve().parent
INKS = 5  # colours for connections: --ho-1 and so on

# Widths and heights of what is drawn; title, number and label are sizes of letters.
Size = collections.namedtuple(
    "Size", "name width cell height pad title number label gap slot message")
WIDE = Size("wide", 960, 108, 56, 12, 19, 20, 15, 50, 40, 150)
NARROW = Size("narrow", 340, 49, 42, 5, 13, 13, 11, 38, 28, 46)
BETWEEN = 4  # two cells

BEHIND, CHANNELS, BOXES, LINES, CONTENTS = range(5)  # layers, the last one on top


# ---- what is seen ----


def seen(state):
    """The keys of all that stands in the picture of a state."""
    things = {thing for thing in state.things() if not thing.startswith("other")}
    ends = {thing for thing in things if thing.startswith("q")}
    keys = {f"{place}={thing}" for place, thing in state.places().items()}
    keys |= {f"process {name}" for name in state.tables}
    keys |= {f"channel {end[:-1]}" for end in ends}
    keys |= {f"thing {thing}" for thing in things - ends}
    connections = {f"c{number}" for number in range(1, state.opened + 1)}
    keys |= {f"past {thing}" for thing in connections - things - set(state.backlog)}
    return keys | ({f"offset {state.offset}"} if "file" in things else set())


def lit(step):
    """The keys of what a step is about: who calls, and the cells of its descriptors; of a client
    its connection."""
    return {f"process {step.who}", f"thing {step.who.replace('client ', 'c')}",
            *(f"cell {who}.{number}" for who, number in step.hot)}


def colour(thing):
    if thing.startswith("c"):
        return f"var(--ho-{(int(thing[1:]) - 1) % INKS + 1})"
    return {"file": "var(--ho-3)", "listener": "var(--ho-quiet)"}.get(thing, "var(--ho-channel)")


# ---- pieces of SVG ----


def text(x, middle, words, size, kind="", anchor="middle"):
    """Words whose small letters have their middle there."""
    named = f' class="{kind}"' if kind else ""
    return (f'<text x="{x:g}" y="{middle + size * 0.35:g}" font-size="{size:g}" '
            f'text-anchor="{anchor}"{named}>{html.escape(words)}</text>')


def box(x, y, width, height, kind, radius=6):
    return (f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}" '
            f'class="{kind}"/>')


def path(way, kind):
    return f'<path d="{way}" class="{kind}"/>'


def line(x1, y1, x2, y2, kind=""):
    """With a rim in the colour of the paper, for where it crosses another."""
    half = (y1 + y2) / 2
    way = f"M{x1:g} {y1:g}C{x1:g} {half:g} {x2:g} {half:g} {x2:g} {y2:g}"
    dot = f'<circle cx="{x1:g}" cy="{y1:g}" r="3" class="dot"/>'
    return path(way, "rim") + path(way, f"line {kind}") + dot


def hook(x, y, edge, beyond):
    """A line behind a channel, from y to its farther end, which it meets from behind."""
    sweep = 0 if beyond > y else 1
    return path(f"M{x:g} {y:g}V{beyond:g}a5 5 0 0 {sweep} 10 0V{edge:g}", "line thin")


def badge(x, middle, thing, size):
    """The mark of what travels: a number for a connection."""
    if thing.startswith("c"):
        mark = f'<circle cx="{x:g}" cy="{middle:g}" r="{size * 0.8:g}" class="badge"/>'
        return mark + text(x, middle, thing[1:], size, "strong")
    width = size * (0.7 + 0.6 * len(thing))
    mark = box(x - width / 2, middle - size * 0.75, width, size * 1.5, "badge", 4)
    return mark + text(x, middle, thing, size, "strong")


def ranges(numbers):
    """As in "3, 5 to 8"."""
    groups = []
    for number in sorted(numbers):
        if groups and number == groups[-1][-1] + 1:
            groups[-1].append(number)
        else:
            groups.append([number])
    return ", ".join(f"{g[0]}" if len(g) == 1 else f"{g[0]} to {g[-1]}" for g in groups)


# ---- the picture ----


class Drawing:
    """One of the two: layers of (key, SVG, what it is of, for its colour)."""

    def __init__(self, run, steps, size):
        self.run, self.size = run, size
        self.layers = [], [], [], [], []
        self.states = [state for _, state in steps]
        self.keys = sorted(set().union(*map(seen, self.states)))
        self.x, self.y = {}, {}  # the left edge of a process, or the middle of a cell; upper edges
        self.things = {}  # what a line can lead to: the middle, and the upper or lower edge
        self.channels = {}  # left edge and width
        self.process_height = size.height + size.title * 1.5 + size.pad
        self.thing_height = size.number * 2.2
        self.channel_height = size.number * 3.2
        self._who()
        self._rows()
        self._network()
        self._channels()
        self._chips()
        for name in run["processes"]:
            self._process(name)
        self._contents()

    def put(self, layer, key, svg, thing=None):
        self.layers[layer].append((key, svg, thing))

    def pill(self, x, y, width, kind="thing"):
        """What is no process: a box with round ends, around x."""
        return box(x - width / 2, y, width, self.thing_height, kind, self.thing_height / 2)

    def label(self, x, middle, words, kind="", anchor="middle"):
        return text(x, middle, words, self.size.label, kind, anchor)

    # ---- where things are ----

    def _who(self):
        """Who gives stands above, who takes below; a cell has each number that is ever in use."""
        events = [replay.Event(*event) for event in self.run["events"]]
        pass_ = {(event.pid, event.call) for event in events if event.other != -1}
        pids = self.run["processes"]
        self.below = [name for name, pid in pids.items() if (pid, "recvmsg") in pass_]
        self.above = [name for name in pids if name not in self.below]
        self.above.sort(key=lambda name: (pids[name], "sendmsg") not in pass_)
        self.pool = len(self.below) > 1
        self.cells = {name: set() for name in pids}
        for key in self.keys:
            name, _, number = key.partition("=")[0].rpartition(".")
            if name in pids:
                self.cells[name].add(int(number))

    def _width(self, name):
        count = max(1, len(self.cells[name]))
        return count * (self.size.cell + BETWEEN) - BETWEEN + 2 * self.size.pad

    def _rows(self):
        size, y = self.size, self.size.label * 1.5
        for row, height, gap in (("network", self.thing_height, size.gap * 0.8),
                                 ("above", self.process_height, size.gap),
                                 ("channels", self.channel_height, size.gap),
                                 ("things", self.thing_height, size.gap),
                                 ("below", self.process_height, 2)):
            self.y[row] = y
            y += height + gap
        self.height = y
        room = size.width - sum(map(self._width, self.above))
        x = room / 2 if len(self.above) == 1 else 0
        for name in self.above:
            self._place(name, x, self.y["above"])
            x += self._width(name) + room / max(1, len(self.above) - 1)
        self.lane = size.width / len(self.below)
        for place, name in enumerate(self.below):
            x = place * self.lane + (self.lane - self._width(name)) / 2
            self._place(name, x, self.y["below"])

    def _place(self, name, x, y):
        self.x[name], self.y[name] = x, y
        first = x + self.size.pad + self.size.cell / 2
        for place, number in enumerate(sorted(self.cells[name])):
            self.x[name, number] = first + place * (self.size.cell + BETWEEN)

    def _top(self, name):
        """The upper edge of a process's cells. Its name is on the other side than its lines."""
        return self.y[name] + (self.size.title * 1.5 if name in self.above else self.size.pad)

    def _holding(self, name, prefix):
        """The middles of the cells of a process that ever name such a thing."""
        return sorted(self.x[name, number] for number in self.cells[name]
                      if any(key.startswith(f"{name}.{number}={prefix}") for key in self.keys))

    # ---- what stands there ----

    def _network(self):
        """The listener, its backlog, and where clients come from: in a program without clients of
        others the socket of its own."""
        size, y = self.size, self.y["network"]
        middle, top = y + self.thing_height / 2, y + (self.thing_height - size.slot) / 2
        slots = max(3 if self.pool else 1, *(len(state.backlog) for state in self.states))
        width, own = size.cell * 1.15, "thing socket 2" in self.keys
        whole = width + 8 + slots * (size.slot + 4) + (width + 8 if own else size.label * 7)
        accepts = [x for name in self.above for x in self._holding(name, "listener")]
        x = min(max(0, accepts[0] - width / 2), size.width - whole)

        def put(thing, x, words):
            self.things[thing] = x, y + self.thing_height
            self.put(BOXES, f"thing {thing}",
                     self.pill(x, y, width) + self.label(x, middle, words), thing)

        put("listener", x + width / 2, "listener")
        put("socket 1", x + width / 2, "socket")  # which becomes the listener
        x += width + 8
        name = self.label(x, y - size.label * 0.8, "backlog", "quiet", "start")
        self.put(BOXES, "thing listener", name)
        for slot in range(slots):
            self.things[f"backlog[{slot}]"] = x + size.slot / 2, middle
            self.put(BOXES, "thing listener", box(x, top, size.slot, size.slot, "slot", 4))
            x += size.slot + 4
        if own:
            put("socket 2", x + 4 + width / 2, "socket")
            self.put(BOXES, "network", path(f"M{x:g} {middle:g}h10", "nothing"))
        else:
            way = f"M{x + 26:g} {middle:g}h-22m6 -5l-6 5l6 5"
            words = self.label(x + 31, middle, "clients", "quiet", "start")
            self.put(BOXES, "network", path(way, "arrow") + words)

    def _channels(self):
        size, y = self.size, self.y["channels"]
        names = [key[8:] for key in self.keys if key.startswith("channel ")]
        for name in names:
            if len(names) > 1:  # above the worker whose it is
                worker, = (who for who in self.below if self._holding(who, f"{name}b"))
                x = self.below.index(worker) * self.lane + size.pad
                width = self.lane - 2 * size.pad
            else:
                width = size.width * (1 if self.pool else 0.4)
                x = (size.width - width) / 2
            self.channels[name] = x, width
            words = "queue" if len(names) == 1 and self.pool else "channel"
            label = self.label(x + width - size.pad * 0.8, y + self.channel_height / 2, words,
                               "quiet", "end")
            drawn = [box(x, y, width, self.channel_height, kind, 8)
                     for kind in ("ground", "channel")]
            self.put(CHANNELS, f"channel {name}", "".join(drawn) + label, f"{name}a")

    def _chips(self):
        """What travels: each above the process that takes it."""
        taken = {name: [] for name in self.below}
        for key in self.keys:
            place, _, thing = key.partition("=")
            name = place.rpartition(".")[0]
            if name in taken and thing[:1] in ("c", "f") and thing not in taken[name]:
                taken[name].append(thing)
        if not self.pool:  # there is room on both sides, and none behind the channel
            things, = taken.values()
            for place, thing in enumerate(sorted(things, reverse=True)):
                self._chip(self.size.width * (0.15, 0.85)[place], self.size.cell * 1.3, thing)
            return
        rooms = {}
        for lane, name in enumerate(self.below):
            # On that side of the line from the process to its channel where its connections are.
            channel, own = self._holding(name, "q")[-1], self._holding(name, "c")[0]
            left, right = lane * self.lane + 2, (lane + 1) * self.lane - 2
            rooms[name] = (left, channel - 10) if own < channel else (channel + 10, right)
        most = max(map(len, taken.values()))
        pitch = min((right - left) / most for left, right in rooms.values())
        for name, (left, right) in rooms.items():
            wanted = self._holding(name, "c")[0] - pitch * len(taken[name]) / 2
            x = max(left, min(wanted, right - pitch * len(taken[name]))) + pitch / 2
            for thing in taken[name]:
                self._chip(x, min(pitch - 4, self.size.cell * 1.3), thing)
                x += pitch

    def _chip(self, x, width, thing):
        y, letters = self.y["things"], width / self.size.label
        middle = y + self.thing_height / 2
        self.things[thing] = x, y
        if thing == "file":
            self.put(BOXES, "thing file", self.pill(x, y, width), thing)
            for key in self.keys:
                if key.startswith("offset "):
                    words = f"file, {key}" if letters > 8 else key
                    self.put(BOXES, key, self.label(x, middle, words))
            return
        long = "connection " if letters > 8 else "conn. " if letters > 5 else ""
        self.put(BOXES, f"thing {thing}",
                 self.pill(x, y, width) + self.label(x, middle, long + thing[1:], "strong"), thing)
        self.put(BOXES, f"past {thing}", self.pill(x, y, width, "past")
                 + self.label(x, middle, f"{thing[1:]} \u2713", "quiet"))

    def _process(self, name):
        size, x, y, width = self.size, self.x[name], self.y[name], self._width(name)
        key, right = f"process {name}", x + width - size.pad
        above = name in self.above
        base = y + size.title * 0.8 if above else y + self.process_height - size.title * 0.8
        left = x + size.pad
        if self._holding(name, "listener")[:1] == [left + size.cell / 2]:
            left += size.cell + BETWEEN  # or the line to the listener would cross the name
        self.put(BOXES, key, box(x, y, width, self.process_height, "process", 8)
                 + text(left, base, name, size.title, "title", "start"))
        # What else it holds, by number only: signals, for example.
        others = set(map(int, self.run["tables"].get(name, {}))) - self.cells[name]
        if others and above:
            words = f"and {ranges(others)}"
            if left + size.title * 0.65 * len(name) + size.label * 0.6 * len(words) > right:
                words = f"+ {len(others)}"
            self.put(BOXES, key, self.label(right, base, words, "quiet", "end"))
        for number in self.cells[name]:
            self.put(BOXES, key, self._cell(name, number, "free", "quiet number"))
            self.put(BOXES, f"cell {name}.{number}", self._cell(name, number, "frame"))

    def _cell(self, name, number, kind, letters=""):
        size, x, top = self.size, self.x[name, number], self._top(name)
        drawn = box(x - size.cell / 2, top, size.cell, size.height, kind, 4)
        if letters:
            drawn += text(x, top + size.number * 0.8, str(number), size.number, letters)
        return drawn

    def _contents(self):
        """What is in a cell, in a channel, in the backlog: once for each thing that ever is."""
        for key in self.keys:
            place, _, thing = key.partition("=")
            name, _, number = place.rpartition(".")
            if not thing:
                continue
            if name:
                self._held(key, name, int(number), thing)
            elif place.startswith("backlog"):
                x, middle = self.things[place]
                self.put(CONTENTS, key, badge(x, middle, thing, self.size.label), thing)
            else:
                self._message(key, place, thing)

    def _held(self, key, name, number, thing):
        x, top, above = self.x[name, number], self._top(name), name in self.above
        bottom = top + self.size.height
        words = self.label(x, bottom - self.size.label * 0.95, self._named(name, thing))
        cell = self._cell(name, number, "held", "number") + words
        self.put(CONTENTS, key, cell, thing)
        begin = bottom if above else top
        if thing.startswith("q"):
            self._to_channel(key, name, x, begin, thing)
        elif thing in ("listener", "socket 1", "socket 2"):
            self.put(LINES, key, line(x, top, *self.things[thing], "thin"), thing)
        else:
            to, edge = self.things[thing]
            edge += 0 if above else self.thing_height
            self.put(LINES, key, line(x, begin, to, edge), thing)

    def _to_channel(self, key, name, x, begin, end):
        """To that end of it: the first is its upper edge."""
        (left, width), y = self.channels[end[:-1]], self.y["channels"]
        to = min(max(x, left + 10), left + width - 10)
        first, above = end.endswith("a"), name in self.above
        edge = y if first else y + self.channel_height
        if first == above:
            self.put(LINES, key, line(x, begin, to, edge, "thin"), end)
            return
        out = self.y[name] + (self.process_height if above else 0)
        self.put(BEHIND, key, hook(to, out, edge, edge + (10 if above else -10)), end)
        self.put(LINES, key, line(x, begin, to, out, "thin"), end)

    def _named(self, name, thing):
        """What a cell says of its thing: of a channel, to whom it leads."""
        if thing.startswith("c"):
            return f"connection {thing[1:]}" if self.size is WIDE else f"conn. {thing[1:]}"
        if not thing.startswith("q"):
            return thing.partition(" ")[0]
        if len(self.channels) == 1:
            return "queue" if self.pool else "channel"
        others = self.below if name in self.above else self.above
        return next(who for who in others if self._holding(who, thing[:-1]))

    def _message(self, key, place, thing):
        size = self.size
        end, at = re.fullmatch(r"(\w+)\[(\d+)\]", place).groups()
        left, tall = self.channels[end[:-1]][0] + 8, size.number * 1.9
        down, travels = end.endswith("b"), not thing.isdecimal()
        x = left + int(at) * (size.message + 6)
        y = self.y["channels"] + (6 if down else self.channel_height - tall - 6)
        middle = y + tall / 2
        there = next(state for state in self.states if state.places().get(place) == thing)
        count = there.queues[end][int(at)].size
        words = replay.plural(count, "byte")
        sign = 1 if down else -1
        tip = path(f"M{x + 7:g} {middle - 4 * sign:g}l4 {8 * sign}l4 {-8 * sign}z", "tip")
        inside = box(x, y, size.message, tall, "message", 4) + tip
        if travels and size is WIDE:
            inside += self.label(x + 22, middle, f"{words} +", "", "start")
            at_end = x + size.message - (20 if thing.startswith("c") else 28)
            inside += badge(at_end, middle, thing, size.label)
        elif travels:
            inside += badge(x + size.message / 2 + 7, middle, thing, size.label)
        else:
            short = words if size is WIDE or count < 10 else f"{count} B"
            inside += self.label(x + size.message / 2 + 7, middle, short)
        self.put(CONTENTS, key, inside, thing if travels else None)
        if travels:
            way = line(x + size.message / 2, y + tall, *self.things[thing], "flying")
            self.put(LINES, key, way, thing)

    # ---- as text ----

    def svg(self, step, state, name, hidden=True, before=""):
        """The picture after a step; HIDDEN: with all that is not seen then."""
        title, told = f"{self.run['title']}: {step.who}, {step.call}", f"{step.say} {state.told()}"
        view = f"-4 -2 {self.size.width + 8} {self.height + 4:g}"
        lines = [f'<svg xmlns="http://www.w3.org/2000/svg" class="handover {self.size.name}" '
                 f'role="img" viewBox="{view}" aria-labelledby="{name}-t {name}-d">',
                 f'<title id="{name}-t">{html.escape(title)}</title>',
                 f'<desc id="{name}-d">{html.escape(told)}</desc>{before}']
        keys = seen(state) | {"network"}
        for key, svg, thing in itertools.chain(*self.layers):
            there = key in keys or key.startswith("cell ")  # the rim of a cell, to be lit up
            if there or hidden:
                named = f' data-k="{html.escape(key)}"' if hidden else ""
                tint = f' style="color:{colour(thing)}"' if thing else ""
                off = "" if there else ' display="none"'
                lines.append(f"<g{named}{tint}{off}>{svg}</g>")
        return "\n".join([*lines, "</svg>"])


# ---- what comes out ----


def style():
    return (HERE / "handover.css").read_text()


def picture(run):
    """The SVG of the telling moment, by itself, and in plain colours: not all that shows SVG knows
    more, such as readers of books."""
    steps = replay.steps(run)
    step, state = steps[replay.telling(run)]
    rules = style().partition("/* ---- the picture ---- */")[2].partition("/* ----")[0]
    paper = '<rect x="-4" y="-2" width="100%" height="100%" class="paper"/>'
    before = f"<style>{rules}</style>{paper}"
    svg = Drawing(run, steps, WIDE).svg(step, state, "picture", False, before)
    light = dict(re.findall(r"(--ho-[\w-]+):\s*([^;]+);", style().partition("}")[0]))
    return re.sub(r"var\((--ho-[\w-]+)\)", lambda use: light[use[1]], svg) + "\n"


def sentence(step):
    return (f"<b>{html.escape(step.who)}</b> <code>{html.escape(step.call)}</code> "
            f"<span>{html.escape(step.say)}</span>")


def frames(steps, keys):
    """The steps as handover.js wants them: of each the numbers of the keys that are seen, and of
    those to light up; what moves, and how it would be told."""
    index = {key: number for number, key in enumerate(keys)}

    def place(where, what):
        """Of a process the cell, and elsewhere what is there."""
        return next((index[key] for key in (where, f"cell {where}", f"{where}={what}")
                     if key in index), None)

    for step, state in steps:
        frame = {"on": sorted(index[key] for key in seen(state)), "told": state.told(),
                 "hot": sorted(index[key] for key in lit(step) if key in index)}
        if step.flight:
            source, to, what = step.flight
            frame |= {"from": place(source, what), "to": place(to, what), "colour": colour(what)}
        yield frame


def fragment(run):
    """The figure, with all its steps."""
    steps, at = replay.steps(run), replay.telling(run)
    step, state = steps[at]
    name = f"handover-{run['chapter']}"
    drawings = [Drawing(run, steps, size) for size in (WIDE, NARROW)]
    keys = sorted({key for drawing in drawings for layer in drawing.layers for key, *_ in layer})
    fixed = [number for number, key in enumerate(keys)
             if key == "network" or key.startswith("cell ")]
    data = json.dumps({"at": at, "keys": keys, "fixed": fixed, "steps": list(frames(steps, keys))},
                      separators=(",", ":")).replace("<", r"\u003c")
    pictures = "\n".join(d.svg(step, state, f"{name}-{d.size.name}") for d in drawings)
    items = "\n".join(f"<li>{sentence(each)}</li>" for each, _ in steps)
    return f"""<figure class="handover" id="{name}" data-pace="1600">
<p class="ho-now">{sentence(step)}</p>
<div class="ho-picture">
{pictures}
</div>
<figcaption>{html.escape(caption(run, len(steps)))}</figcaption>
<details><summary>All {len(steps)} steps</summary>
<ol>
{items}
</ol>
</details>
<script type="application/json">{data}</script>
</figure>
"""


def caption(run, count):
    return (f"{run['title']}: {count} calls of a real run ({run['system']}), in their order. "
            "A process is a box with its descriptors, lines lead to what they name: a listener, "
            "the ends of channels, connections. A message in a channel can name one, too. "
            "A number in a circle is a connection on its way, one with a tick is over; \u201cand\u201d or \u201c+\u201d "
            "in the corner of a process stands before descriptors that are not drawn. Dashed: free, or over. "
            "Shown first is the moment with most in it.")


def page(run):
    """The same as a page by itself."""
    title = f"{html.escape(run['title'])}: the hand-over, step by step"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
{style()}
body {{ margin: 0 auto; padding: 1rem; max-width: 72rem; }}
@media screen {{ html {{ background: #fdfdfb; color-scheme: light dark; }} }}
@media screen and (prefers-color-scheme: dark) {{ html {{ background: #141619; }} }}
</style>
</head>
<body>
<main class="handover">
<h1 class="ho-title">{title}</h1>
{fragment(run)}</main>
<script>
{(HERE / "handover.js").read_text()}</script>
</body>
</html>
"""
