#!/usr/bin/env python3
"""links.py FILE.md ...: every link inside the repository leads to a file, or to a heading in one; every picture has a text."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CODE = re.compile(r"^```.*?^```|`[^`\n]*`|^ {4}.*?$", re.M | re.S)
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
REFERENCE = re.compile(r"\]\[([^\]]+)\]")
DEFINED = re.compile(r"^\[([^\]]+)\]:", re.M)


def anchors(path):
    """The anchors that GitHub makes of the headings."""
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.S)
    found = set()
    for heading in re.findall(r"^#+ (.*)$", text, re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        found.add(re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-"))
    return found


def problems(path):
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
