#!/usr/bin/env python3
"""rooms.py: each thing lies in its room, and can be found by its name.

- A header is included by its bare name: who copies it into another project has it beside his
  sources. So in common/, chapters/ and tests/ no two have the same name, and no exercise has one of
  that name for something else.
- Arrows point down: a chapter, and its tests, include no header of a chapter above; common/
  includes none of a chapter.
- What an exercise uses is linked into it by its bare name, too: it may have no source of that name.
- Tests mirror the tree: tests/common/D/X.c tests common/D/X.c (or .py, .sh), and tests/chapters
  likewise; SUITES lists the others.

A line for each that is not so, and status 1.
"""
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "common/exercises"))
sys.dont_write_bytecode = True
import course  # noqa: E402

INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.M)
SUITES = [  # what tests more than one file
    "tests/chapters/04-prefork-select/take-away.py",
]
HIGHEST = 99  # what belongs to no floor may include everything


def files(folders, *suffixes):
    paths = [path for folder in folders for path in sorted((TOP / folder).rglob("*"))]
    return [path.relative_to(TOP) for path in paths if path.suffix in suffixes]


def floor(path):
    """The number of the chapter that a file belongs to; 0 for common/."""
    parts = path.parts[1:] if path.parts[0] == "tests" else path.parts
    if parts[0] == "chapters" and parts[1][:2].isdecimal():
        return int(parts[1][:2])
    return 0 if parts[0] == "common" else HIGHEST


def mistakes():
    headers = {}
    for path in files(["common", "chapters", "tests"], ".h"):
        if path.parts[:2] == ("tests", "exercises"):
            continue
        if path.name in headers:
            other = headers[path.name]
            yield f"{path}: a header must have a name of its own, and this is that of {other}"
        headers.setdefault(path.name, path)

    for path in files(["common", "chapters", "tests/common", "tests/chapters"], ".c", ".h"):
        for name in INCLUDE.findall((TOP / path).read_text()):
            header = headers.get(pathlib.PurePath(name).name)
            if "/" in name:
                yield f'{path}: include "{name}" by its bare name'
            if header and floor(header) < HIGHEST and floor(header) > floor(path):
                above = "a chapter" if floor(path) == 0 else "a chapter above"
                yield f'{path}: includes "{name}" of {above}, {header.parent}; arrows point down'

    modules = course.modules()
    for exercise in course.read_list():
        used = [file for name in exercise.uses for file in modules[name]]
        linked = {pathlib.PurePath(file).stem: file for file in used}
        both = [f"{side}/{exercise.name}" for side in ("exercises", "solutions")]
        for path in files(both, ".c", ".h"):
            if path.suffix == ".h" and path.name in headers:
                yield f"{path}: an exercise's header may not have the name of {headers[path.name]}"
            if path.suffix == ".c" and path.stem in linked:
                yield f"{path}: the exercise is linked with {linked[path.stem]}, of the same name"

    for path in files(["tests/common", "tests/chapters"], ".c", ".py"):
        tested = TOP / path.relative_to("tests")
        there = [tested.with_suffix(suffix).is_file() for suffix in (".c", ".py", ".sh")]
        if str(path) not in SUITES and not any(there):
            missing = path.relative_to("tests").with_suffix("")
            yield f"{path}: tests mirror the tree, and there is no {missing}.c, .py or .sh"


if __name__ == "__main__":
    found = list(mistakes())
    print(*found, sep="\n", end="\n" if found else "")
    sys.exit(1 if found else 0)
