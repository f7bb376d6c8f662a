#!/usr/bin/env python3
"""pack.py ZIP [NUMBER ...]: packs what a grading machine needs into a zip in Gradescope's form. No solution is in it.

NUMBERs are the exercises that count; without them all do. OVERLAY is a folder of a teacher's own
exercises and tests, which are packed beside those of the course, and before them.
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
LEFT_OUT = ["nasty", "overlay", "book", "__pycache__"]  # a book has solutions, in other languages too
LEFT_OUT_KINDS = [".svg", ".t", ".pyc", ".patch"]  # of a patch one could make a solution


def files():
    """What goes in: (path in the zip, path here)."""
    for name in AT_THE_TOP:
        yield pathlib.Path(name), HERE / name
    yield pathlib.Path("Makefile"), course.TOP / "Makefile"
    yield pathlib.Path("LICENSE"), course.TOP / "LICENSE"
    for top, folders in ((course.TOP, ["common", "chapters", "exercises", "tests/exercises"]),
                         (course.OVERLAY, ["exercises", "tests/exercises"])):
        for folder in folders if top else []:
            for path in sorted((top / folder).rglob("*")):
                name = path.relative_to(top)
                if path.is_file() and path.suffix not in LEFT_OUT_KINDS and not set(LEFT_OUT) & set(name.parts):
                    yield name, path


def list_of(exercises):
    """exercises/list, but only with these."""
    own = course.OVERLAY / "exercises/list" if course.OVERLAY else None
    lists = [path for path in (own, course.LIST) if path and path.is_file()]
    parts, left = [], {exercise.name for exercise in exercises}
    for path in lists:  # what the overlay has takes the place of what the course has
        lines, wanted, found = [], True, set()
        for line in path.read_text().splitlines():
            if line.strip() and not line[0].isspace():
                wanted = line[0] == "#" or line.strip() in left
                found.add(line.strip())
            if wanted:
                lines.append(line)
        left -= found
        parts.insert(0, "\n".join(lines) + "\n")
    return "\n".join(parts)


def main(target, *numbers):
    exercises = [course.find(number) for number in numbers] or course.read_all()
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in dict(files()).items():
            # The same date for all: the same files give the same zip.
            entry = zipfile.ZipInfo(str(name), (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o755 if os.access(path, os.X_OK) else 0o644) << 16
            archive.writestr(entry, list_of(exercises) if str(name) == "exercises/list"
                             else path.read_bytes())
    part.replace(target)
    print(f"{target}: {len(exercises)} exercises, {sum(exercise.points for exercise in exercises)} points")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__.strip())
    try:
        main(pathlib.Path(sys.argv[1]), *sys.argv[2:])
    except (course.Mistake, OSError) as mistake:
        sys.exit(f"pack.py: {mistake}")
