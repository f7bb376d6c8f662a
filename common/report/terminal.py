"""What is printed fits the terminal: its width, words that are wrapped, tables that are laid out.

Nothing is cut off. A line is longer than the terminal only where it holds what must stay in one
piece, such as a path.
"""
import os
import pathlib
import re
import sys
import textwrap

PROSE = 100  # columns at most, however wide the terminal is
NUMBER = re.compile(r"(?:[~≈?] ?)?[-(]?\d|-$")  # how a cell begins that stands to the right


def width():
    """The terminal's columns: COLUMNS, or what stdout or stderr says where it is one, or 80."""
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and int(told) > 0:
        return int(told)
    for descriptor in (1, 2):
        try:
            columns = os.get_terminal_size(descriptor).columns
        except OSError:
            continue
        if columns > 0:
            return columns
    return 80


def shown(path):
    """A path as short as it can be said: from the current folder, where it is below that."""
    path, here = pathlib.Path(path), pathlib.Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


# ---- words, and lines of programs ----


def _words(text, room, first="", rest=""):
    return textwrap.wrap(text, room, initial_indent=first, subsequent_indent=rest,
                         break_long_words=False, break_on_hyphens=False) or [first]


def wrapped(text, first="", rest=None):
    """A text in lines that fit: the first one behind FIRST, others behind REST, or FIRST again."""
    return "\n".join(_words(text, min(width(), PROSE), first, first if rest is None else rest))


def complain(text):
    """Prints a message on stderr: in lines that fit a terminal, and in one line for all else."""
    live = sys.stderr.isatty()  # and may have a progress bar in its last line
    print("\r\033[K" + wrapped(text, "", "  ") if live else text, file=sys.stderr)


def folded(line, indent):
    """A line that is no prose, a call or a line of a program, in pieces that fit.

    They end behind a comma or before a blank, if there is one, and go on behind INDENT.
    """
    room, pieces = width(), []
    while len(line) > room:
        least = len(line) - len(line.lstrip()) + room // 4
        end = max(line.rfind(" ", least, room + 1), line.rfind(",", least, room) + 1)
        end = end if end > 0 else room
        pieces.append(line[:end].rstrip())
        line = indent + line[end:].lstrip()
    return "\n".join([*pieces, line])


def of_diff(line):
    """A line of a unified diff, folded on a terminal: in a file it stays what patch(1) reads."""
    if not sys.stdout.isatty():
        return line
    blanks = len(line[1:]) - len(line[1:].lstrip())
    return folded(line, line[:1] + " " * (blanks + 4))


# ---- tables ----


def table(columns, rows, keys=1):
    """The lines of a table, its cells being text for readers.

    Numbers stand to the right; text, and the first column in any case, to the left. What is too
    wide gets narrower heads, or its longest text is wrapped; or it is turned, so that a column
    becomes a row; or the labels are folded; or its columns are split over several tables, each of
    which begins with the first KEYS of them again. The first of these that fits is taken.
    """
    columns, rows = list(map(str, columns)), [list(map(str, row)) for row in rows]
    lines = []
    for lines in _layouts(columns, rows, keys):
        if all(len(line) <= width() for line in lines):
            break
    return lines


def _layouts(columns, rows, keys):
    yield _laid(columns, rows)
    yield _laid(columns, rows, heads=True)

    def longest(number):
        return max(len(row[number]) for row in rows)

    for number in sorted(range(1, len(columns)), key=longest, reverse=True):
        if _is_text(number, rows):
            limit = max(_left(columns, rows, number), 24)
            yield _laid(columns, rows, heads=True, limits={number: limit})
    if keys == 1 and all(any(row[1:]) for row in rows):  # no row is a title for those below it
        heads, *values = zip(columns, *rows)
        yield _laid(heads, values, heads=True)
    limit = max(_left(columns, rows, 0), 12)
    if all(len(_cell(row[0], limit)) <= 2 for row in rows):
        yield _laid(columns, rows, heads=True, limits={0: limit})
    behind = len(columns) - keys
    for count in range(2, behind + 1):
        each = -(-behind // count)
        parts = [[*range(keys), *range(first, min(first + each, len(columns)))]
                 for first in range(keys, len(columns), each)]
        for limit in None, max(width() // (each + keys) - 4, 12):
            lines = []
            for part in parts:
                lines += [""] if lines else []
                lines += _laid([columns[n] for n in part], [[row[n] for n in part] for row in rows],
                               True, dict.fromkeys(range(len(part)), limit))
            yield lines


def _left(columns, rows, number):
    """How wide a column may be for all to fit."""
    def without(row):
        return [*row[:number], "|", *row[number + 1:]]

    lines = _laid(without(columns), [without(row) for row in rows], heads=True)
    return width() - max(map(len, lines)) + 1


def _is_text(number, rows):
    return number == 0 or any(row[number] and not NUMBER.match(row[number]) for row in rows)


def _cell(text, room):
    """The lines of a text. Those of a list end behind its commas: "2 read" stays together."""
    listed = re.sub("(?<!,) ", "\0", text) if ", " in text else text
    return [line.replace("\0", " ") for line in _words(listed, room, "", " ")]


def _laid(columns, rows, heads=False, limits=None):
    """The lines of a table, whose heads may be folded, and whose columns of text have LIMITS."""
    aligned = []
    for number, head in enumerate(columns):
        text = _is_text(number, rows)
        limit = (limits or {}).get(number) if text else None
        cells = [_cell(row[number], limit) if limit else [row[number]] for row in rows]
        room = max((len(line) for cell in cells for line in cell), default=0)
        narrow = max([room, 8, *map(len, head.split())])
        while heads and len(_words(head, narrow)) > 2:
            narrow += 1
        cells = [_words(head, narrow) if heads else [head], *cells]
        room = max(len(line) for cell in cells for line in cell)
        side = "<" if text else ">"
        aligned.append([[f"{line:{side}{room}}" for line in cell] for cell in cells])
    lines = []
    for number, cells in enumerate(zip(*aligned)):
        height = max(map(len, cells))
        for cell in cells:  # a head stands right above its column
            blank = [" " * len(cell[0])] * (height - len(cell))
            cell[:] = cell + blank if number else blank + cell
        lines += ["  ".join(["", *parts]).rstrip() for parts in zip(*cells)]
    return lines
