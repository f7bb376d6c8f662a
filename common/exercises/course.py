"""The list of exercises, and where everything of an exercise lies."""
import dataclasses
import functools
import hashlib
import math
import os
import pathlib
import re
import shlex
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(TOP / "common"))
import mine  # noqa: E402

BUILD = TOP / os.environ.get("BUILD", "build")
# A teacher's folder with exercises/, tests/exercises/ and solutions/ of its own: what lies in it
# counts before what lies here, so it can add an exercise, and put another test in the place of one
# that everybody can read.
OVERLAY = pathlib.Path(os.environ["OVERLAY"]).absolute() if os.environ.get("OVERLAY") else None
LIST = TOP / "exercises/list"
STARTERS = TOP / "tests/exercises/starters"  # the digest of each starter file, as sha256sum(1) writes it
CHAPTERS = sorted(path.relative_to(TOP) for path in (TOP / "chapters").glob("[0-9]*"))

TEXT = re.compile(r"README(\.\w+)?\.md")  # of an exercise: README.md, and README.ko.md beside it


@functools.cache
def modules():
    """What `uses` may name, and the objects that it stands for: {"pool": ["chapters/04-.../pool.o", ...]}.

    A module is a header of a chapter and what is compiled from the source of that name; it needs those
    whose headers it includes. tests/rooms.py sees that no two have the same name.
    """
    headers = [header for folder in CHAPTERS for header in sorted((TOP / folder).glob("*.h"))]
    sources = {header.stem: header.with_suffix(".c") for header in headers
               if header.with_suffix(".c").is_file()}

    def objects(name):
        needed = [name]
        for other in needed:  # which grows
            text = sources[other].read_text() + sources[other].with_suffix(".h").read_text()
            included = re.findall(r'^#include "(\w+)\.h"', text, re.M)
            needed += [found for found in included if found in sources and found not in needed]
        return [str(sources[other].relative_to(TOP).with_suffix(".o")) for other in dict.fromkeys(needed)]

    return {name: objects(name) for name in sources}


class Mistake(Exception):
    """Something that is missing or wrong, told in one line."""


def seconds(name, otherwise):
    """A time from the environment."""
    text = os.environ.get(name) or str(otherwise)
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not (value > 0 and math.isfinite(value)):
        raise Mistake(f"{name}={text}: say how many seconds, such as {name}={otherwise}")
    return value


def flag(name):
    """Whether something is asked for in the environment."""
    return os.environ.get(name, "") not in ("", "0")


def words(name, otherwise=""):
    """Words from the environment, as a shell would read them."""
    text = os.environ.get(name) or otherwise
    try:
        return shlex.split(text)
    except ValueError as reason:
        raise Mistake(f"{name}={text}: {str(reason).lower()}") from None


@dataclasses.dataclass
class Exercise:
    name: str
    title: str = ""
    kind: str = ""
    points: int = 0
    minutes: int = 0
    programs: list = dataclasses.field(default_factory=list)
    drivers: list = dataclasses.field(default_factory=list)
    uses: list = dataclasses.field(default_factory=list)
    hints: list = dataclasses.field(default_factory=list)

    @property
    def number(self):
        return "-".join(self.name.split("-")[:2])

    @property
    def starter(self):
        return placed("exercises", self.name)

    @property
    def solution(self):
        return placed("solutions", self.name)

    @property
    def tests(self):
        return placed("tests/exercises", self.name)

    @property
    def driver(self):
        """Of a test that replaces another it may be still that one's."""
        own = self.tests / "driver.c"
        return own if own.is_file() else TOP / "tests/exercises" / self.name / "driver.c"

    @property
    def built(self):
        return BUILD / "exercises" / self.name

    @property
    def kept(self):
        """What is the learner's: marks, and answers that reset has replaced."""
        return mine.FOLDER / "exercises" / self.name

    def files(self):
        """The names of the files that a learner begins with; there may be more by now."""
        if OVERLAY and OVERLAY in (*self.solution.parents, *self.starter.parents):
            return [path.name for path in files_of(self.solution) or files_of(self.starter)]
        noted = [pathlib.PurePath(path) for path in starters()]
        return ([path.name for path in noted if path.parent.name == self.name]
                or [path.name for path in files_of(self.solution) or files_of(self.starter)])


def placed(room, name):
    """A folder of the overlay, if it has one of this name, else of the course."""
    own = OVERLAY / room / name if OVERLAY else None
    return own if own and own.is_dir() else TOP / room / name


def files_of(folder):
    """The files of an exercise's folder, but for its text, in any language."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir()
                  if path.is_file() and not path.is_symlink() and not TEXT.fullmatch(path.name) and path.name[0] != ".")


def read_list(path=LIST):
    """The exercises, in the order of the course."""
    if not path.is_file():
        raise Mistake(f"{path}: not there")
    exercises = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            if not line[0].isspace():
                exercises.append(Exercise(line.strip()))
            elif not exercises:
                raise Mistake("what is indented belongs to an exercise, and there is none above")
            else:
                read_fact(exercises[-1], *line.strip().partition(" ")[::2])
        except Mistake as mistake:
            raise Mistake(f"{path.name}:{number}: {mistake}") from None
    return exercises


def read_fact(exercise, key, value):
    value = value.strip()
    if key in ("points", "minutes"):
        if not value.isdecimal() or int(value) == 0:
            raise Mistake(f"{key} {value}: not a number from 1 up")
        setattr(exercise, key, int(value))
    elif key == "kind":
        if value not in ("mend", "build"):
            raise Mistake(f"kind {value}: say mend or build")
        exercise.kind = value
    elif key == "title":
        exercise.title = value
    elif key == "program":
        exercise.programs += value.split()
    elif key == "driver":
        exercise.drivers += value.split()
    elif key == "uses":
        for module in value.split():
            if module not in modules():
                raise Mistake(f"uses {module}: say {' or '.join(modules())}")
        exercise.uses += value.split()
    elif key == "hint":
        exercise.hints.append(value)
    else:
        raise Mistake(f"{key}: no such word; say title, kind, points, minutes, program, driver, uses or hint")


def read_all():
    """The exercises, and behind them those that only the overlay has; one of the same name takes
    the place of ours."""
    exercises = {exercise.name: exercise for exercise in read_list()}
    if OVERLAY:
        if not OVERLAY.is_dir():
            raise Mistake(f"OVERLAY={OVERLAY}: no such folder")
        if (OVERLAY / "exercises/list").is_file():
            exercises.update((exercise.name, exercise)
                             for exercise in read_list(OVERLAY / "exercises/list"))
        for exercise in exercises.values():
            if not (exercise.tests / "test.py").is_file():
                raise Mistake(f"{exercise.name} has no test: "
                              f"tests/exercises/{exercise.name}/test.py")
    return list(exercises.values())


def find(number):
    """The exercise of a number such as 04-2, or of its whole name."""
    for exercise in read_all():
        if number in (exercise.number, exercise.name):
            return exercise
    raise Mistake(f"there is no exercise \"{number}\"; `make exercises` lists them all")


def chosen(numbers):
    """The exercises of such numbers, in the order of the course; all without any."""
    wanted = [find(number).name for number in numbers.replace(",", " ").split()]
    return [exercise for exercise in read_all() if exercise.name in wanted or not wanted]


def write(path, text):
    """All or nothing, so that nobody reads half a file."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def digest(paths):
    """One number for what files are called and contain."""
    return digest_of({path.name: path.read_bytes() for path in paths})


def digest_of(files):
    """The same of {name: bytes}."""
    total = hashlib.sha256()
    for name, content in sorted(files.items()):
        total.update(os.fsencode(f"{name} {hashlib.sha256(content).hexdigest()}\n"))
    return total.hexdigest()


def file_digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def starters():
    """The digests of the starter files: {"exercises/01-1-zombies/server.c": digest}."""
    if not STARTERS.is_file():
        return {}
    return {line.split()[1]: line.split()[0] for line in STARTERS.read_text().splitlines()}


def is_starter(exercise):
    """True when nothing in the learner's folder differs from what it began with."""
    known = starters()
    return all(known.get(f"exercises/{exercise.name}/{path.name}") == file_digest(path)
               for path in files_of(exercise.starter))


def is_done(exercise):
    """True when what is in the learner's folder is the answer that was the last one to pass."""
    mark = exercise.kept / "passed"
    return mark.is_file() and mark.read_text().strip() == digest(files_of(exercise.starter))


def note_outcome(exercise, tested, passed):
    """Notes of an answer, which had this digest, whether it passed.

    One that did not pass leaves the mark of another: who goes back to that is done again, whatever
    he has tried meanwhile.
    """
    mark = exercise.kept / "passed"
    if passed:
        mine.make(exercise.kept)
        with mine.writing():
            write(mark, tested + "\n")
    elif mark.is_file() and mark.read_text().strip() == tested:
        with mine.writing():
            mark.unlink()
