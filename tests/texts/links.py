#!/usr/bin/env python3
"""links.py FILE.md ...: what a text points at is there.

Every link inside the repository leads to a file, or to a heading in one; every picture has a text; no comment tears
a paragraph. What a sentence or
an indented block names as code is there, too: `make TARGET` is a target, and `tests/README.md` is a file.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CODE = re.compile(r"^```.*?^```|`[^`\n]*`|^ {4}.*?$", re.M | re.S)
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
REFERENCE = re.compile(r"\]\[([^\]]+)\]")
DEFINED = re.compile(r"^\[([^\]]+)\]:", re.M)
FENCED = re.compile(r"^```.*?^```$", re.M | re.S)
NAMED = re.compile(r"`([^`\n]+)`|^ {4}(\S.*)$", re.M)
TARGET = re.compile(r"\bmake((?: +(?:-C \S+|\w+='[^']*'|[\w-]+(?:=\S+|\.\w+)?))+)")
PATH = re.compile(r"(?<![\w/$~.-])(?:build|mine|chapters|common|exercises|solutions|tests|slides)/"
                  r"[\w./-]*\w")
MADE = {"build": ("book", "report", "coverage", "slides", "grade", "fuzz", "model", "exercises",
                  "exam", "autograder.zip"),
        "mine": ("points", "results", "exercises", "README.txt")}
PLACE_HOLDERS = re.compile(r"\b(NN|NAME|WHAT|07-name|04-10(-name)?)\b")


def anchors(path):
    """The anchors that GitHub makes of the headings."""
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.S)
    found = set()
    for heading in re.findall(r"^#+ (.*)$", text, re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        found.add(re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-"))
    return found


def targets():
    """Patterns of the targets, at the top and in a chapter's folder."""
    text = "".join((ROOT / name).read_text() for name in ("Makefile", "chapters/chapter.mk"))
    rules = re.findall(r"^([\w%. -]+):(?!=)", text, re.M) + re.findall(r"^offered := (.*)", text, re.M)
    names = " ".join(rules).split()
    # A fact has its name in the words of the claim; what else is meant by % has a number.
    return [re.compile(name.replace("%", r"[\w-]+" if name == "fact-%" else r"(NN|NN-K|\d[\w-]*)")) for name in names]


def is_there(name, beside):
    """True for a file, for a module or program with its source, and for what another command makes."""
    top, made, *_ = name.split("/")
    below = name.removeprefix("build/")
    if made in MADE.get(top, ()) or re.fullmatch(r"tests/servers/(contract|faults|soak)-[\w-]+", below):
        return True
    return any((folder / below).exists() or (folder / f"{below}.c").exists() for folder in (ROOT, beside))


def unknown(path):
    """What the text names as code and is not there."""
    known = targets()
    for found in NAMED.finditer(FENCED.sub("", path.read_text())):
        code = found[1] or found[2]
        for words in TARGET.findall(code):
            for word in re.sub(r"-C \S+|\S+='[^']*'|\S+=\S+", "", words).split():
                if not any(target.fullmatch(word) for target in known) and not PLACE_HOLDERS.search(word):
                    yield f"make {word}: there is no such target"
        for name in PATH.findall(code):
            if not PLACE_HOLDERS.search(name) and not is_there(name, path.parent):
                yield f"{name}: there is no such file"


def torn(path):
    """Where a comment begins a line of a paragraph: there CommonMark ends it, and shows the rest of that line as it is."""
    for found in re.finditer(r"^ *[^\s<`|#].*\n {0,3}(<!-- .*)", FENCED.sub("", path.read_text()), re.M):
        yield f"{found[1][:60]} begins a line, and ends the paragraph: put it behind the line before"


def problems(path):
    yield from unknown(path)
    yield from torn(path)
    text = CODE.sub("", path.read_text())
    for picture, words, target in LINK.findall(text):
        if picture and not words.strip():
            yield f"the picture {target} has no text for those who do not see it"
        if re.match(r"\w+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        if not file.exists():
            yield f"{target}: there is no such file"
        elif ROOT not in [file, *file.parents]:
            yield f"{target}: that is outside of the repository"
        elif anchor and file.suffix == ".md" and anchor not in anchors(file):
            yield f"{target}: there is no such heading"
    for tag in re.findall(r"<img [^>]*>", text):
        if not re.search(r'alt="[^"]+"', tag):
            yield f"{tag} has no text for those who do not see it"
    for name in set(REFERENCE.findall(text)) - set(DEFINED.findall(text)):
        yield f"[{name}] is not defined"


def main():
    status = 0
    for name in sys.argv[1:]:
        for problem in problems(pathlib.Path(name).resolve()):
            print(f"{name}: {problem}", file=sys.stderr)
            status = 1
    sys.exit(status)


if __name__ == "__main__":
    main()
