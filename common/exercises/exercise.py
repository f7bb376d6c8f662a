#!/usr/bin/env python3
"""The commands of the exercises, as make calls them.

exercise.py run NUMBER [FROM]   build and test exercise NUMBER (04-2), from the folder FROM if one is named
"""
import dataclasses
import os
import pathlib
import shlex
import shutil
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = TOP / os.environ.get("BUILD", "build")
LIST = "exercises/list"
MODULES = {  # what `uses` may name, and the objects that it stands for
    "fdpass": ["chapters/03-descriptor-passing/fdpass.o"],
    "pool": ["chapters/04-prefork-select/pool.o", "chapters/03-descriptor-passing/fdpass.o"],
}
INCLUDES = ["common", "chapters/03-descriptor-passing", "chapters/04-prefork-select"]


class Mistake(Exception):
    """Something is missing or wrong, told in one line."""


# ---- the list ------------------------------------------------------------------------------------

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
        return TOP / "exercises" / self.name

    @property
    def solution(self):
        return TOP / "solutions" / self.name

    @property
    def tests(self):
        return TOP / "tests" / "exercises" / self.name

    @property
    def built(self):
        return BUILD / "exercises" / self.name


def read_list(path=TOP / LIST):
    """The exercises, in the order of the course."""
    exercises = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        def wrong(what):
            raise Mistake(f"{path.name}:{number}: {what}")

        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not line[0].isspace():
            exercises.append(Exercise(line.strip()))
            continue
        if not exercises:
            wrong("what is indented belongs to an exercise, and there is none above")
        exercise = exercises[-1]
        key, _, value = line.strip().partition(" ")
        value = value.strip()
        if key in ("points", "minutes"):
            if not value.isdigit() or int(value) == 0:
                wrong(f"{key} {value}: not a number from 1 up")
            setattr(exercise, key, int(value))
        elif key == "kind":
            if value not in ("mend", "build"):
                wrong(f"kind {value}: say mend or build")
            exercise.kind = value
        elif key == "title":
            exercise.title = value
        elif key == "program":
            exercise.programs += value.split()
        elif key == "driver":
            exercise.drivers += value.split()
        elif key == "uses":
            for module in value.split():
                if module not in MODULES:
                    wrong(f"uses {module}: say {' or '.join(MODULES)}")
            exercise.uses += value.split()
        elif key == "hint":
            exercise.hints.append(value)
        else:
            wrong(f"{key}: what is that?")
    return exercises


def find(number):
    exercises = read_list()
    for exercise in exercises:
        if number in (exercise.number, exercise.name):
            return exercise
    raise Mistake(f"there is no exercise \"{number}\"; `make exercises` lists them")


# ---- building and testing ------------------------------------------------------------------------

def build(exercise, source):
    """Compiles what lies in the folder `source` to exercise.built. Returns whether that went well."""
    target = exercise.built
    target.mkdir(parents=True, exist_ok=True)
    sources = sorted(source.glob("*.c"))
    compiler = shlex.split(os.environ.get("COMPILE", "cc -std=c17 -D_GNU_SOURCE -Wall -Wextra -O2 -g"))
    flags = [f"-I{source}"] + [f"-I{folder}" for folder in INCLUDES]
    modules = list(dict.fromkeys(str(BUILD / o) for module in exercise.uses for o in MODULES[module]))
    compiled = [p for p in exercise.programs if "." not in p]
    for program in exercise.programs:
        if "." in program:
            shutil.copy(source / program, target / program)
            (target / program).chmod(0o755)
    for program in compiled + exercise.drivers:
        mine = [s for s in sources if s.stem == program or s.stem not in compiled]
        if len(compiled) == 1 and program in compiled:
            mine = sources
        if program in exercise.drivers:
            mine = [s for s in mine if s.stem not in compiled] + [exercise.tests / "driver.c"]
        if subprocess.run([*compiler, *flags, *map(str, mine), *modules, str(BUILD / "common/common.a"),
                           *shlex.split(os.environ.get("LDFLAGS", "")), "-lm", "-o", str(target / program)],
                          cwd=TOP, check=False).returncode:
            return False
    return True


def run(number, source=None):
    exercise = find(number)
    source = pathlib.Path(source).resolve() if source else exercise.starter
    if not source.is_dir():
        raise Mistake(f"{source}: no such folder")
    if not build(exercise, source):
        print(f"{exercise.name}: does not compile")
        return 1
    environment = {**os.environ, "PYTHONPATH": str(TOP / "tests/exercises"), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([sys.executable, str(exercise.tests / "test.py"), str(exercise.built)],
                          env=environment, check=False).returncode


def main(arguments):
    try:
        if len(arguments) in (2, 3) and arguments[0] == "run":
            return run(*arguments[1:])
        sys.exit(__doc__.strip())
    except Mistake as mistake:
        print(f"exercise: {mistake}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
