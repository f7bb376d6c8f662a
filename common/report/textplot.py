"""Plots for the terminal, in characters, as wide as it is, a hundred columns at most.

A plot begins with its title, and below that says what each letter in it stands for. A curve is
drawn in its own letter, large where it was measured, small in between. Where curves meet, their
letters take turns.
"""
import math
import string

import terminal

ROWS = 16  # of characters, for a curve
WIDEST = 100


def room():
    return min(terminal.width(), WIDEST)


def number(value):
    """ "10,000" for 10000.0, and "0.1" for 0.1."""
    return f"{value:,.10g}"


def scale(low, high, log):
    """Round values from LOW or less to HIGH or more, few enough for the rows."""
    if not log:
        rough = (high - low) / (ROWS // 3) or 1
        power = 10 ** math.floor(math.log10(rough))
        step = next(step * power for step in (1, 2, 5, 10) if step * power >= rough)
        return [step * n for n in range(math.floor(low / step), math.ceil(high / step) + 1)]
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in (1, 2, 5), (1, 3), (1,):
        values = [step * 10.0 ** power for power in powers for step in steps]
        first = max(n for n, value in enumerate(values) if value <= low)
        last = min(n for n, value in enumerate(values) if value >= high or value == values[-1])
        if last - first < ROWS // 2:
            break
    return values[first:last + 1]


def legend(parts):
    """What the letters are, in lines that fit, with no part broken."""
    text = "   ".join(part.replace(" ", "\0") for part in parts)
    return terminal.wrapped(text, "  ").replace("\0", " ")


def axis(margin, columns, tics):
    """The lines of a horizontal axis; tics are pairs of column and text."""
    line, below = ["-"] * columns, ""
    for column, text in tics:
        line[min(column, columns - 1)] = "+"
        begin = max(margin + 1 + column - len(text) // 2, 0)
        if begin > len(below):
            below = f"{below:<{begin}}{text}"
    return [f"{'':{margin}}+{''.join(line)}", below]


def cells(places):
    """A curve through places (column, row): by cell, whether it was measured there."""
    found = dict.fromkeys(places, True)
    for (c0, r0), (c1, r1) in zip(places, places[1:]):
        steps = max(abs(c1 - c0), abs(r1 - r0))
        for n in range(1, steps):
            cell = round(c0 + (c1 - c0) * n / steps), round(r0 + (r1 - r0) * n / steps)
            found.setdefault(cell, False)
    return found


def curves(title, series, xtics, xlabel, xlog=False, ylog=False):
    """A curve for each name in SERIES, which gives points (x, y) in the order of x.

    XTICS are pairs of x and text. The y axis begins at 0, unless it is logarithmic.
    """
    every = [point for points in series.values() for point in points]
    xs, ys = [x for x, _ in [*every, *xtics]], [y for _, y in every]
    yscale = scale(min(ys) if ylog else 0, max(ys), ylog)
    margin = 2 + max(len(number(y)) for y in yscale)
    columns = room() - margin - 2 - len(xtics[-1][1]) // 2

    def place(value, low, high, log, cells):
        value, low, high = map(math.log10 if log else float, (value, low, high))
        return round((value - low) / ((high - low) or 1) * (cells - 1))

    def column(x):
        return place(x, min(xs), max(xs), xlog, columns)

    def row(y):
        return place(y, yscale[0], yscale[-1], ylog, ROWS)

    field, names = {}, dict(zip(string.ascii_uppercase, series))
    for letter, name in names.items():
        for cell, measured in cells([(column(x), row(y)) for x, y in series[name]]).items():
            field.setdefault(cell, []).append(letter if measured else letter.lower())
    meet = any(len(letters) > 1 for letters in field.values())
    field = {(c, r): letters[(c + r) % len(letters)] for (c, r), letters in field.items()}
    beside = {row(y): number(y) for y in yscale}
    drawn = set(field.values())
    parts = [f"{letter} {name}" for letter, name in names.items()]
    parts += ["capitals: measured"] if any(map(str.islower, drawn)) else []
    parts += ["letters in turn: curves that meet"] if meet else []
    lines = [terminal.wrapped(title), legend(parts)]
    for r in reversed(range(ROWS)):
        line = "".join(field.get((c, r), " ") for c in range(columns))
        lines.append(f"{beside.get(r, ''):>{margin}} {'+' if r in beside else '|'}{line}".rstrip())
    below = axis(margin + 1, columns, [(column(x), text) for x, text in xtics])
    return "\n".join([*lines, *below, terminal.wrapped(xlabel, " " * (margin + 2))])


def bars(title, groups, form="{:.0f}"):
    """Bars from zero. A group is a dictionary from name to value; they stand beside each other."""
    label = max(len(name) for group in groups.values() for name in group)
    head = max(map(len, groups))
    values = {form.format(value): value for group in groups.values() for value in group.values()}
    columns = room() - head - label - max(map(len, values)) - 7
    lines = [terminal.wrapped(title)]
    for name, group in groups.items():
        lines += [""] if len(group) > 1 else []
        for place, (each, value) in enumerate(group.items()):
            bar = "#" * max(round(value / max(values.values()) * columns), 1)
            lines.append(f"  {'' if place else name:<{head}}  {each:<{label}}  {bar} "
                         f"{form.format(value)}")
    return "\n".join(lines)


def strip(spans, last, columns, background):
    """A row of letters, of which each stands for a COLUMNS-th of the time from 0 to LAST.

    Spans are (letter, begin, end). Where a letter stands, what it means was done, but perhaps not
    alone: that is shown to which most is owed, when all are given the time that they took, and who
    is shown pays for it. So what is short is seen, if not each time, and a letter's share of the
    row is about its share of the time. The background is shown where nothing else is.
    """
    step = last / columns
    within, behind = [{} for _ in range(columns)], [" "] * columns
    for letter, begin, end in spans:
        first = min(int(begin / step), columns - 1)
        for column in range(first, min(max(math.ceil(end / step), first + 1), columns)):
            if letter == background:
                behind[column] = letter
            else:
                took = min(end, (column + 1) * step) - max(begin, column * step)
                within[column][letter] = within[column].get(letter, 0) + took
    row, owed = "", {}
    for there, otherwise in zip(within, behind):
        for letter, took in there.items():
            owed[letter] = owed.get(letter, 0) + took
        shown = max(there, key=owed.get, default=otherwise)
        if there:
            owed[shown] -= sum(there.values())
        row += shown
    return row.rstrip()
