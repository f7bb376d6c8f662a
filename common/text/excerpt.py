#!/usr/bin/env python3
"""Keeps the code that texts show equal to the source that it is taken from.

excerpt.py [--check] FILE.md ...

An excerpt begins with a comment that says where it comes from; the fenced block below it is made:

    <!-- excerpt chapters/04-prefork-select/pool.c hand_over -->         the definition of that name
    <!-- excerpt chapters/04-prefork-select/pool.c "first" to "last" -->  lines that hold these texts

A definition begins with the comment above it and ends with the brace in the first column. The first
text must be in one line of the file only; the last is sought from there. Code of these languages that
is in no file says so, by <!-- sketch --> above it. With --check nothing is written, and a text that
differs from its source is an error.
"""
import itertools
import pathlib
import re
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parents[2]
LANGUAGES = {".c": "c", ".h": "c", ".py": "python", ".sh": "sh", ".mk": "make"}
EXCERPT = re.compile(r"^<!-- excerpt (\S+) (.*?) -->\n```\w*\n(?:.*\n)*?```\n", re.M)
BETWEEN = re.compile(r'"(.+)" to "(.+)"')
SLIDE = 84  # columns
# Blanks, a statement or none, and the comment behind it.
COMMENT = re.compile(r"^( *)(.*?) *(?:(/\*) ((?:[^*]|\*(?!/))*?)( \*/)|(#) (.*))$", re.M)


class Mistake(Exception):
    """What is wrong with an excerpt, in a line, behind the number of the line that has it."""


def definition(lines, name):
    """The first and the last line of a function, struct, union or enum, with the comment above it."""
    begins = [i for i, line in enumerate(lines)
              if re.match(rf"[a-z_].*\b{re.escape(name)}(\(.*[^;]| \{{)$|^def {re.escape(name)}\(", line)]
    if len(begins) != 1:
        raise Mistake(f"{name} is defined {len(begins)} times")
    begin = begins[0]
    end = next((i for i in range(begin, len(lines)) if lines[i] in ("}", "};")), None)
    if end is None:
        raise Mistake(f"{name} has no end")
    if begin > 0 and lines[begin - 1].endswith("*/"):
        begin = next(i for i in range(begin - 1, -1, -1) if lines[i].lstrip().startswith("/*"))
    return begin, end


def between(lines, first, last):
    begins = [i for i, line in enumerate(lines) if first in line]
    if len(begins) != 1:
        raise Mistake(f'"{first}" is in {len(begins)} lines, not in one')
    end = next((i for i in range(begins[0], len(lines)) if last in lines[i]), None)
    if end is None:
        raise Mistake(f'"{last}" does not follow "{first}"')
    return begins[0], end


def place(path, what):
    """Where an excerpt stands in its source now: the number of its first line, and its lines."""
    source = ROOT / path
    if not source.is_file():
        raise Mistake("there is no such file")
    lines = source.read_text().splitlines()
    found = BETWEEN.fullmatch(what)
    begin, end = between(lines, *found.groups()) if found else definition(lines, what)
    return begin + 1, lines[begin:end + 1]


def taken_from_source(path, what):
    """The text of an excerpt, as its source has it now."""
    return textwrap.dedent("\n".join(place(path, what)[1])) + "\n"


def for_a_slide(code):
    """The same lines, with comments where a slide has room for them: wrapped, or above their statement."""

    def moved(found):
        indent, statement, *parts = found.groups(default="")
        sign, words, end = parts[:3] if parts[0] else (*parts[3:], "")
        if max(map(len, found[0].splitlines())) <= SLIDE:
            return found[0]
        words = re.sub(r"\s*\n *\* ", " ", words)
        inner = indent + (" * " if sign == "/*" else "# ")
        least, width = len(wrapped(f"{sign} {words}{end}", indent, inner, SLIDE)), SLIDE
        while len(wrapped(f"{sign} {words}{end}", indent, inner, width - 1)) == least:
            width -= 1  # lines of about the same length
        lines = wrapped(f"{sign} {words}{end}", indent, inner, width)
        return "\n".join(lines + ([indent + statement] if statement else []))

    return COMMENT.sub(moved, code)


def wrapped(text, first, others, width):
    return textwrap.wrap(text, width, initial_indent=first, subsequent_indent=others)


def renewed(text, slides=False):
    """The text with every excerpt as its source has it."""

    def line(found):
        return text.count("\n", 0, found.start()) + 1

    def renew(found):
        path, what = found.groups()
        try:
            code = taken_from_source(path, what)
            code = for_a_slide(code) if slides else code
        except Mistake as mistake:
            raise Mistake(f"{line(found)}: excerpt {path} {what}: {mistake}") from None
        language = LANGUAGES.get(pathlib.Path(path).suffix, "")
        return f"<!-- excerpt {path} {what} -->\n```{language}\n{code}```\n"

    new = EXCERPT.sub(renew, text)
    for found in re.finditer(r"^<!-- excerpt ", text, re.M):
        if not EXCERPT.match(text, found.start()):
            raise Mistake(f"{line(found)}: an excerpt has no fenced block below it")
    for found in re.finditer(rf"^```(?:{'|'.join(LANGUAGES.values())})\n(.*)", text, re.M):
        if not re.search("^<!-- (excerpt|sketch) .*\n\\Z", text[:found.start()], re.M):
            begin = found[1].strip()
            raise Mistake(f'{line(found)}: the code that begins with "{begin}" is no excerpt')
    return new


def main():
    check = sys.argv[1:2] == ["--check"]
    status = 0
    for name in sys.argv[1 + check:]:
        path = pathlib.Path(name)
        try:
            old = path.read_text()
            new = renewed(old, path.resolve().parent == ROOT / "slides")
        except Mistake as mistake:
            print(f"{name}:{mistake}", file=sys.stderr)
            status = 1
            continue
        if new != old and check:
            lines = itertools.zip_longest(old.splitlines(), new.splitlines())
            line = next(number for number, (was, will_be) in enumerate(lines, 1) if was != will_be)
            print(f"{name}:{line}: an excerpt differs from its source: make texts", file=sys.stderr)
            status = 1
        elif new != old:
            path.write_text(new)
            print(f"renewed {name}")
    sys.exit(status)


if __name__ == "__main__":
    main()
