#!/usr/bin/env python3
"""pack.py ZIP [NUMBER ...]: packs what a grading machine needs into a zip in Gradescope's form. No solution is in it.

NUMBERs are the exercises that count; without them all do.
"""
import os
import pathlib
import sys
import zipfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import course  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
AT_THE_TOP = ["setup.sh", "run_autograder"]
LEFT_OUT = ["nasty", "__pycache__"]
LEFT_OUT_KINDS = [".svg", ".t", ".pyc", ".patch"]  # of a patch one could make a solution


def files():
    """What goes in: (path in the zip, path here)."""
    for name in AT_THE_TOP:
        yield pathlib.Path(name), HERE / name
    yield pathlib.Path("Makefile"), course.TOP / "Makefile"
    yield pathlib.Path("LICENSE"), course.TOP / "LICENSE"
    for folder in "common", "chapters", "exercises", "tests/exercises":
        for path in sorted((course.TOP / folder).rglob("*")):
            name = path.relative_to(course.TOP)
            if path.is_file() and path.suffix not in LEFT_OUT_KINDS and not set(LEFT_OUT) & set(name.parts):
                yield name, path


def list_of(exercises):
    """exercises/list, but only with these."""
    lines, wanted = [], True
    for line in course.LIST.read_text().splitlines():
        if line.strip() and not line[0].isspace():
            wanted = line[0] == "#" or line.strip() in [exercise.name for exercise in exercises]
        if wanted:
            lines.append(line)
    return "\n".join(lines) + "\n"


def main(target, *numbers):
    exercises = [course.find(number) for number in numbers] or course.read_list()
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in files():
            # The same date for all: the same files give the same zip.
            entry = zipfile.ZipInfo(str(name), (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o755 if os.access(path, os.X_OK) else 0o644) << 16
            archive.writestr(entry, list_of(exercises) if path == course.LIST else path.read_bytes())
    part.replace(target)
    print(f"{target}: {len(exercises)} exercises, {sum(exercise.points for exercise in exercises)} points")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__.strip())
    try:
        main(pathlib.Path(sys.argv[1]), *sys.argv[2:])
    except (course.Mistake, OSError) as mistake:
        sys.exit(f"pack.py: {mistake}")
