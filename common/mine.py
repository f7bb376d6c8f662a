#!/usr/bin/env python3
"""The reader's own folder, mine/: what is his, and in no commit. `make clean` leaves it alone.

mine.py    (make clean) takes over what an older version of the course kept below build/, and says in
           a line what is left where

Environment: BUILD, the folder of what is built; MINE, another folder than mine/. With MINE only
`make clean` takes anything over: who tries something out beside his own folder is not to find his own
things in there.
"""
import contextlib
import errno
import os
import pathlib
import shutil
import sys
import textwrap
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[1]
BUILD = TOP / os.environ.get("BUILD", "build")
FOLDER = TOP / (os.environ.get("MINE") or "mine")
OLD = ("exercises/*/before-reset-*", "exercises/*/hints", "exercises/*/passed", "results/*")
TEXT = """\
What is yours in this course, and in no commit of it. `make clean` leaves it
alone.

    exercises/NAME/before-reset-N  your answer, as it was before make reset-NN-K
    exercises/NAME/passed          which answer has passed: make exercises says
                                   done
    exercises/NAME/hints           how many hints you have asked for
    points/                        what make grade-all came to: tables, and a
                                   page
    results/                       tables and plots of what you have measured
                                   last: make report puts them on one page
    results/earlier/               tables that a later run replaced, by their
                                   time: make compare BASE=FILE lays one beside
                                   a new run

No command deletes an answer or a table here. What you do not need any more is
for you to delete. The answers that you work on are in exercises/, where git
keeps them: see exercises/README.md. MINE=FOLDER behind a command takes another
folder.
"""


class Unwritable(OSError):
    """It is not possible to write there; the text is one line for the reader."""


@contextlib.contextmanager
def writing():
    """What fails in here is told in one line, with what to do."""
    try:
        yield
    except Unwritable:
        raise
    except OSError as error:
        where = pathlib.Path(error.filename or FOLDER)
        there = next(path for path in (where, *where.parents) if path.exists())
        by_sudo = there.is_relative_to(FOLDER) and there.stat().st_uid == 0
        if error.errno == errno.EACCES and by_sudo:
            cure = f'it belongs to root: sudo chown -R "$USER" {shown(there)}'
        else:
            cure = "say another folder: MINE=FOLDER"
        reason = f"{shown(where)}: cannot be written ({error.strerror or error})"
        raise Unwritable(f"{reason}; {cure}") from None


def shown(path):
    return path.relative_to(TOP) if path.is_relative_to(TOP) else path


def make(folder):
    """Makes a folder, in which one can write, and on top the text that says what is what."""
    with writing():
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        text = FOLDER / "README.txt"
        if folder.is_relative_to(FOLDER) and (not text.is_file() or text.read_text() != TEXT):
            text.write_text(TEXT)


def free(path):
    """A path at which nothing is: this one, or the same with -2, -3 ... behind its name."""
    paths = [path]
    while paths[-1].exists():
        paths.append(path.with_name(f"{path.stem}-{len(paths) + 1}{path.suffix}"))
    return paths[-1]


def take_over():
    """Moves here what an older version of the course kept below build/, where clean removes it."""
    moved = False
    for old in [path for pattern in OLD for path in sorted(BUILD.glob(pattern))]:
        # What is not there any more another command has just taken over.
        with writing(), contextlib.suppress(FileNotFoundError):
            place = FOLDER / old.relative_to(BUILD)
            if place.exists():  # who goes back to an older version and comes again has both
                place = free(FOLDER / "from-build" / old.relative_to(BUILD))
            make(place.parent)
            shutil.move(old, place)
            moved = True
    if moved:
        print(f"{shown(FOLDER)}/ now has what was yours in {shown(BUILD)}/", file=sys.stderr)


def take_over_unasked():
    """The same, by every other command than make clean."""
    if not os.environ.get("MINE"):
        take_over()


def left():
    """What is here, in words."""
    answers = len(list(FOLDER.glob("exercises/*/before-reset-*")))
    passed = len(list(FOLDER.glob("exercises/*/passed")))
    tables = len([path for path in FOLDER.glob("results/**/*.tsv")
                  if not path.name.endswith(".table.tsv")])
    return [f"{count} {what.format('s' * (count > 1))}"
            for count, what in ((answers, "answer{} kept by reset"), (passed, "passed exercise{}"),
                                (tables, "measurement{}")) if count]


def main():
    try:
        take_over()
    except Unwritable as reason:  # then make stops, and removes nothing
        sys.exit(f"clean: {reason}")
    if left() and FOLDER.is_relative_to(BUILD):
        sys.exit(f"clean: MINE={shown(FOLDER)} lies in {shown(BUILD)}/; move it first, it has "
                 f"{', '.join(left())}")
    if left():
        print(textwrap.fill(f"clean: {shown(FOLDER)}/ is left, with {', '.join(left())}", 79, subsequent_indent="  "))


if __name__ == "__main__":
    main()
